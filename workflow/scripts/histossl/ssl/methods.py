"""The pretraining methods by the name they have in the configuration."""

from histossl.ssl.byol import Byol
from histossl.ssl.dino import Dino
from histossl.ssl.ibot import Ibot
from histossl.ssl.method import Method
from histossl.ssl.simclr import Simclr

METHODS: dict[str, type[Method]] = {"dino": Dino, "simclr": Simclr, "ibot": Ibot, "byol": Byol}
