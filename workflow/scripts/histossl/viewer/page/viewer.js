// The page of one slide. What it shows comes from data.js; texts go in as text, never as markup.
"use strict";

const SVG = "http://www.w3.org/2000/svg";
const data = window.SLIDE;
const byId = (id) => document.getElementById(id);

document.title = `${data.slide} - histossl`;
byId("title").textContent = data.slide;
byId("facts").textContent = data.facts;
byId("bar").style.background = `linear-gradient(to right, ${data.colours.join(", ")})`;

// OpenSeadragon adds a style where this is missing; the page's policy lets through an empty one alone (by its hash). What
// it would say is in viewer.css.
const style = document.createElement("style");
style.setAttribute("data-openseadragon-mobile-css", "true");
document.head.append(style);

const viewer = OpenSeadragon({
  element: byId("slide"),
  drawer: "canvas", // WebGL refuses pictures of files opened without a server
  showNavigationControl: false,
  gestureSettingsMouse: { clickToZoom: false },
  maxZoomPixelRatio: 4,
  tileSources: {
    width: data.width,
    height: data.height,
    tileSize: data.tileSize,
    tileOverlap: data.tileOverlap,
    getTileUrl: (level, x, y) => `tiles/${level}/${x}_${y}.jpeg`,
  },
});

function addSwitch(name, detail, checked, change) {
  const label = document.createElement("label");
  const box = document.createElement("input");
  box.type = "checkbox";
  box.checked = checked;
  box.addEventListener("change", () => change(box.checked));
  const text = document.createElement("span");
  text.textContent = name;
  label.append(box, text);
  if (detail) {
    const small = document.createElement("small");
    small.textContent = detail;
    label.append(small);
  }
  byId("switches").append(label);
  return box;
}

function addTissue() {
  const outline = document.createElementNS(SVG, "svg");
  outline.setAttribute("viewBox", `0 0 ${data.width} ${data.height}`);
  outline.setAttribute("preserveAspectRatio", "none");
  outline.setAttribute("class", "tissue");
  const path = document.createElementNS(SVG, "path");
  path.setAttribute("d", data.tissue.map((ring) => `M${ring.map((point) => point.join(" ")).join("L")}Z`).join(""));
  outline.append(path);
  viewer.addOverlay({ element: outline, location: new OpenSeadragon.Rect(0, 0, 1, data.height / data.width) });
  addSwitch("Tissue", "", true, (on) => path.classList.toggle("off", !on));
}

function addHeatmap(heatmap, checked) {
  let item = null;
  const box = addSwitch(heatmap.name, heatmap.detail, checked, show);
  function show() {
    if (item) item.setOpacity(box.checked ? Number(byId("opacity").value) : 0);
  }
  byId("opacity").addEventListener("input", show);
  viewer.addTiledImage({
    tileSource: { type: "image", url: heatmap.url, buildPyramid: false },
    width: 1,
    opacity: 0,
    success: (event) => {
      item = event.item;
      show();
    },
  });
}

function showScale() {
  const slide = viewer.world.getItemAt(0);
  if (!slide || !data.spacing_um) return;
  const micrometresPerPixel = data.spacing_um / slide.viewportToImageZoom(viewer.viewport.getZoom(true));
  const most = 160 * micrometresPerPixel;
  const power = 10 ** Math.floor(Math.log10(most));
  const length = [5, 2, 1].map((step) => step * power).find((step) => step <= most);
  byId("scale").style.width = `${length / micrometresPerPixel}px`;
  byId("length").textContent = length >= 1000 ? `${length / 1000} mm` : `${Number(length.toPrecision(1))} µm`;
}

viewer.addHandler("open", () => {
  if (data.tissue.length) addTissue();
  data.heatmaps.forEach((heatmap, index) => addHeatmap(heatmap, index === 0));
  if (!data.heatmaps.length) {
    ["strength", "legend"].forEach((id) => byId(id).classList.add("off"));
    byId("switches").append("There is no attention: no head has tested this slide, or it has no patches.");
  }
  showScale();
});
["animation", "resize"].forEach((name) => viewer.addHandler(name, showScale));
viewer.addHandler("open-failed", (event) => { byId("facts").textContent = event.message; });
byId("in").addEventListener("click", () => viewer.viewport.zoomBy(1.5));
byId("out").addEventListener("click", () => viewer.viewport.zoomBy(1 / 1.5));
byId("home").addEventListener("click", () => viewer.viewport.goHome());
byId("layers").addEventListener("submit", (event) => event.preventDefault());
