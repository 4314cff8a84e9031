#!/usr/bin/env bash
# A real Slurm on this machine alone, to test profiles/slurm: two nodes on the loopback address, whose GPUs and memory
# are pretended. For Debian and Ubuntu; as root, or with sudo that asks for no password.
#
#   toy_slurm.sh up       install Slurm where it is missing, start what does not run, wait for the nodes
#   toy_slurm.sh down     cancel all jobs, end the daemons, forget the jobs
#   toy_slurm.sh status   nodes and jobs
#   toy_slurm.sh crash n1 end a node with all that runs on it, as if its power failed; `up` starts it again
#
# Each can be called again. A machine that has a Slurm of its own (/etc/slurm/slurm.conf) is left alone. Beside
# root's own account there is `lab`, which may run $TOY_SLURM_JOBS jobs at once; another one is refused.
set -euo pipefail
export PATH=$PATH:/usr/sbin:/sbin DEBIAN_FRONTEND=noninteractive
TOY_SLURM=${TOY_SLURM:-/var/lib/toy-slurm}
TOY_SLURM_JOBS=${TOY_SLURM_JOBS:-2}
NODES=(n1 n2)
HOST=$(hostname -s)
# Not in a folder of ours, named by SLURM_CONF: the plugin takes this variable away from its jobs.
CONFIGURATION=/etc/slurm
MARK="# Written by toy_slurm.sh, and removed by it."

[ "$(id -u)" = 0 ] || exec sudo -n --preserve-env=TOY_SLURM,TOY_SLURM_JOBS "$0" "$@"

# Whether the program with this name, whose process id is in this file, runs: not another one with its number, nor one
# that has ended and that nobody has asked for.
runs() { # PROGRAM PID_FILE
    local pid
    pid=$(cat "$2" 2>/dev/null) && [ -n "$pid" ] && grep -qsx "$1" "/proc/$pid/comm" &&
        ! grep -qs '^State:.Z' "/proc/$pid/status"
}

wait_for() { # SECONDS COMMAND...
    local end=$((SECONDS + $1))
    shift
    until "$@" >/dev/null 2>&1; do
        if [ "$SECONDS" -ge "$end" ]; then
            echo "toy_slurm: waited in vain for: $*; see $TOY_SLURM/log" >&2
            return 1
        fi
        sleep 0.2
    done
}

stop() { # PROGRAM PID_FILE
    runs "$@" || return 0
    kill "$(cat "$2")"
    wait_for 20 eval "! runs $1 $2"
}

install_slurm() {
    local program missing=""
    for program in munged slurmctld slurmd sbatch slurmdbd mariadbd; do command -v "$program" >/dev/null || missing=yes; done
    [ -n "$missing" ] || return 0
    # Packages start their daemons, which are not wanted here, unless this file forbids it.
    local policy=/usr/sbin/policy-rc.d made="" failed=""
    if [ ! -e $policy ]; then
        printf '#!/bin/sh\nexit 101\n' >$policy
        chmod +x $policy
        made=yes
    fi
    local packages=(munge slurmctld slurmd slurm-client slurmdbd mariadb-server)
    { apt-get update && apt-get install -y --no-remove --no-install-recommends "${packages[@]}"; } >"$TOY_SLURM/log/apt" 2>&1 ||
        failed=yes
    [ -z "$made" ] || rm $policy
    [ -z "$failed" ] || { tail -n 5 "$TOY_SLURM/log/apt" >&2 && return 1; }
}

write_configuration() {
    cat >"$TOY_SLURM/slurm.conf" <<CONF
$MARK
ClusterName=toy
SlurmctldHost=$HOST(127.0.0.1)
SlurmctldPort=16817
SlurmUser=root
AuthInfo=socket=$TOY_SLURM/run/munge.socket,cred_expire=15
StateSaveLocation=$TOY_SLURM/state
SlurmdSpoolDir=$TOY_SLURM/spool.%n
SlurmctldPidFile=$TOY_SLURM/run/slurmctld.pid
SlurmdPidFile=$TOY_SLURM/run/slurmd.%n.pid
SlurmctldLogFile=$TOY_SLURM/log/slurmctld
SlurmdLogFile=$TOY_SLURM/log/slurmd.%n
AccountingStorageType=accounting_storage/slurmdbd
AccountingStorageHost=127.0.0.1
AccountingStoragePass=$TOY_SLURM/run/munge.socket
AccountingStorageEnforce=associations,limits
AccountingStoreFlags=job_comment
AccountingStorageTRES=gres/gpu
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
MpiDefault=none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
GresTypes=gpu
# CPUs, memory and GPUs that the machine does not have.
SlurmdParameters=config_overrides
# A node that comes back may work again; one that is silent has failed.
ReturnToService=2
SlurmdTimeout=20
# Shorter than the usual, so that tests need not wait: SIGKILL after SIGTERM, jobs put back, the scheduler's round.
KillWait=10
# Longer: ended jobs can be listed till the tests have ended.
MinJobAge=3600
SchedulerParameters=sched_interval=5,bf_interval=5,sched_min_interval=0
# A job of partition gpu_urgent puts back those of gpu.
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
CONF
    local i
    for i in "${!NODES[@]}"; do
        echo "NodeName=${NODES[i]} NodeHostname=$HOST NodeAddr=127.0.0.1 Port=$((16818 + i)) CPUs=8 RealMemory=128000" \
            "Gres=gpu:2"
    done >>"$TOY_SLURM/slurm.conf"
    cat >>"$TOY_SLURM/slurm.conf" <<CONF
PartitionName=cpu Nodes=ALL Default=YES
PartitionName=gpu Nodes=ALL PriorityTier=1
PartitionName=gpu_urgent Nodes=ALL PriorityTier=2
CONF
    # Slurm takes no GPU without a character device.
    echo "NodeName=n[1-2] Name=gpu File=$TOY_SLURM/gpu[0-1]" >"$TOY_SLURM/gres.conf"
    for i in 0 1; do ln -sfn /dev/null "$TOY_SLURM/gpu$i"; done
    install -D -m 644 -t $CONFIGURATION "$TOY_SLURM/slurm.conf" "$TOY_SLURM/gres.conf"
    install -m 600 /dev/stdin $CONFIGURATION/slurmdbd.conf <<CONF
$MARK
AuthInfo=socket=$TOY_SLURM/run/munge.socket
DbdHost=localhost
DbdAddr=127.0.0.1
SlurmUser=root
StorageType=accounting_storage/mysql
StorageHost=localhost
StorageUser=toy
StorageLoc=toy
LogFile=$TOY_SLURM/log/slurmdbd
PidFile=$TOY_SLURM/run/slurmdbd.pid
CONF
}

# Accounts and what they may use are kept in a database, at a socket alone. It belongs to Debian's user `mysql`, as its
# folder does.
start_accounting() {
    local folder=$TOY_SLURM/mysql
    export MYSQL_UNIX_PORT=$TOY_SLURM/mysql/toy.sock # of slurmdbd too: another database of the machine is left alone
    if ! runs mariadbd "$folder/mariadbd.pid"; then
        install -d -o mysql -g mysql "$folder"
        [ -d "$folder/mysql" ] || mariadb-install-db --no-defaults --user=mysql --datadir="$folder" \
            --auth-root-authentication-method=socket --skip-test-db >"$TOY_SLURM/log/mariadb-install" 2>&1
        setsid mariadbd --no-defaults --user=mysql --datadir="$folder" --socket="$MYSQL_UNIX_PORT" --skip-networking \
            --pid-file="$folder/mariadbd.pid" --innodb-buffer-pool-size=64M --innodb-lock-wait-timeout=900 \
            >"$TOY_SLURM/log/mariadbd" 2>&1 </dev/null &
    fi
    wait_for 60 mariadb --no-defaults --socket="$MYSQL_UNIX_PORT" -u root -e "CREATE DATABASE IF NOT EXISTS toy;
        CREATE USER IF NOT EXISTS toy@localhost; GRANT ALL ON toy.* TO toy@localhost"
    runs slurmdbd "$TOY_SLURM/run/slurmdbd.pid" || slurmdbd
    wait_for 60 sacctmgr -n show cluster
    # Each fails where there is nothing to change.
    sacctmgr -i add cluster toy >/dev/null 2>&1 || true
    sacctmgr -i add account lab Cluster=toy GrpJobs="$TOY_SLURM_JOBS" >/dev/null 2>&1 || true
    sacctmgr -i add user "$(id -un)" Account=lab >/dev/null 2>&1 || true
}

all_idle() { [ "$(sinfo -h -p cpu -t idle,mixed,allocated -o %D)" = "${#NODES[@]}" ]; }

up() {
    if [ -e $CONFIGURATION/slurm.conf ] && ! grep -qx "$MARK" $CONFIGURATION/slurm.conf; then
        echo "toy_slurm: $CONFIGURATION/slurm.conf is another Slurm's; nothing is done" >&2
        return 1
    fi
    install -d "$TOY_SLURM"/{log,run,state,spool.n1,spool.n2}
    install_slurm
    write_configuration
    if ! runs munged "$TOY_SLURM/run/munged.pid"; then
        [ -s "$TOY_SLURM/munge.key" ] || mungekey --create --keyfile="$TOY_SLURM/munge.key"
        # As root, not as Debian's user `munge`, to whom this folder does not belong.
        munged --force --socket="$TOY_SLURM/run/munge.socket" --key-file="$TOY_SLURM/munge.key" \
            --pid-file="$TOY_SLURM/run/munged.pid" --log-file="$TOY_SLURM/log/munged" \
            --seed-file="$TOY_SLURM/munge.seed" 2>>"$TOY_SLURM/log/munged.start"
    fi
    start_accounting
    runs slurmctld "$TOY_SLURM/run/slurmctld.pid" || slurmctld
    wait_for 30 eval 'scontrol ping | grep -q "is UP"'
    local node
    for node in "${NODES[@]}"; do
        runs slurmd "$TOY_SLURM/run/slurmd.$node.pid" || slurmd -N "$node"
    done
    wait_for 60 all_idle
}

down() {
    if runs slurmctld "$TOY_SLURM/run/slurmctld.pid"; then
        squeue -h -o %A | xargs -r scancel
        wait_for 60 eval '[ -z "$(squeue -h)" ]' || true
    fi
    local node
    for node in "${NODES[@]}"; do stop slurmd "$TOY_SLURM/run/slurmd.$node.pid" || true; done
    stop slurmctld "$TOY_SLURM/run/slurmctld.pid" || true
    stop slurmdbd "$TOY_SLURM/run/slurmdbd.pid" || true
    stop mariadbd "$TOY_SLURM/mysql/mariadbd.pid" || true
    stop munged "$TOY_SLURM/run/munged.pid" || true
    rm -rf "$TOY_SLURM"/{state,spool.n1,spool.n2,mysql}
    ! grep -qsx "$MARK" $CONFIGURATION/slurm.conf || rm -f $CONFIGURATION/{slurm,gres,slurmdbd}.conf
}

# Slurm's own processes first: they would tell the controller how the job's ended.
crash() { # NODE
    local environment pid parent steps=() others=()
    for environment in /proc/[0-9]*/environ; do
        grep -qsz "^SLURMD_NODENAME=$1\$" "$environment" || continue
        pid=${environment//[!0-9]/}
        others+=("$pid")
        parent=$(awk '$1 == "PPid:" {print $2}' "/proc/$pid/status" 2>/dev/null) || continue
        ! grep -qsx slurmstepd "/proc/$parent/comm" || steps+=("$parent")
    done
    kill -KILL "$(cat "$TOY_SLURM/run/slurmd.$1.pid")" "${steps[@]}"
    kill -KILL "${others[@]}" 2>/dev/null || true # some have ended with their parents
}

case ${1:-} in
up) up ;;
down) down ;;
status) sinfo && squeue ;;
crash) crash "${2:?which node}" ;;
*) echo "usage: $0 up|down|status|crash NODE" >&2 && exit 2 ;;
esac
