"use strict";

const data = JSON.parse(document.getElementById("data").textContent);

// Colours of text and lines are the page's own, so that a change of theme needs no new drawing.
const look = {
  aria: false, // the box around a chart says what it shows
  background: null,
  font: "system-ui, sans-serif",
  view: { stroke: null },
  axis: { labelColor: "currentColor", titleColor: "currentColor", domainColor: "currentColor", tickColor: "currentColor",
    gridColor: "currentColor", gridOpacity: 0.12, domainOpacity: 0.4, tickOpacity: 0.4, titleFontWeight: "normal", labelLimit: 120 },
  legend: { labelColor: "currentColor", titleColor: "currentColor", labelLimit: 240 },
};

/** Draw every chart, one after another, leaving the page free in between. */
async function drawCharts() {
  const boxes = document.querySelectorAll(".chart");
  for (const [number, spec] of data.charts.entries()) {
    const box = boxes[number];
    try {
      await vegaEmbed(box, { ...spec, width: "container", height: 220 }, {
        ast: true, // expressions are interpreted: the page's policy forbids making code of them
        renderer: "svg",
        actions: false,
        defaultStyle: false,
        logLevel: 1, // errors only: a reader can do nothing about a remark on a specification
        tooltip: { disableDefaultStyle: true },
        config: look,
      });
    } catch (error) {
      box.textContent = `This chart could not be drawn (${error.message}). Its numbers are below.`;
    }
    await new Promise((resolve) => setTimeout(resolve));
  }
  document.documentElement.dataset.drawn = "yes";
}

drawCharts();
