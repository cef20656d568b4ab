"use strict";
// A picture enlarged in a dialog: wheel or keys zoom, dragging or arrow keys move.
(() => {
  const dialog = document.getElementById("zoom");
  const stage = document.getElementById("stage");
  const most = 20;
  let picture = null;
  let whole = [0, 0, 1, 1];
  let seen = whole;
  let dragged = null;

  function look(x, y, width) {
    const [left, top, fullWidth, fullHeight] = whole;
    const share = Math.min(Math.max(width / fullWidth, 1 / most), 1);
    const [w, h] = [fullWidth * share, fullHeight * share];
    seen = [Math.min(Math.max(x, left), left + fullWidth - w), Math.min(Math.max(y, top), top + fullHeight - h), w, h];
    picture.setAttribute("viewBox", seen.join(" "));
  }

  // Enlarges around a place, given as shares of what is seen.
  function zoom(by, atX = 0.5, atY = 0.5) {
    const [x, y, width, height] = seen;
    const next = Math.min(Math.max(width / by, whole[2] / most), whole[2]);
    look(x + atX * (width - next), y + atY * (height - (next * height) / width), next);
  }

  function move(dx, dy) {
    look(seen[0] + dx * seen[2], seen[1] + dy * seen[3], seen[2]);
  }

  function share(event) {
    const box = picture.getBoundingClientRect();
    return [(event.clientX - box.x) / box.width, (event.clientY - box.y) / box.height];
  }

  document.addEventListener("click", ({ target }) => {
    const button = target.closest?.("[data-zoom]");
    if (!button) return;
    picture = button.closest(".zoomable").querySelector("svg").cloneNode(true);
    whole = picture.getAttribute("viewBox").split(" ").map(Number);
    stage.style.aspectRatio = `${whole[2]} / ${whole[3]}`;
    stage.style.setProperty("--wide", whole[2] / whole[3]);
    look(...whole);
    stage.replaceChildren(picture);
    dialog.showModal();
    stage.focus();
  });
  dialog.addEventListener("click", ({ target }) => {
    const by = target.closest("[data-by]")?.dataset.by;
    if (by === "close" || target === dialog) dialog.close();
    else if (by === "0") look(...whole);
    else if (by) zoom(Number(by));
  });
  dialog.addEventListener("close", () => stage.replaceChildren());
  stage.addEventListener("wheel", (event) => {
    event.preventDefault();
    zoom(event.deltaY < 0 ? 1.25 : 0.8, ...share(event));
  }, { passive: false });
  dialog.addEventListener("keydown", (event) => {
    const way = { ArrowLeft: [-0.15, 0], ArrowRight: [0.15, 0], ArrowUp: [0, -0.15], ArrowDown: [0, 0.15] }[event.key];
    const by = { "+": 1.5, "=": 1.5, "-": 1 / 1.5 }[event.key];
    if (way) move(...way);
    else if (by) zoom(by);
    else if (event.key === "0") look(...whole);
    else return;
    event.preventDefault();
  });
  stage.addEventListener("pointerdown", (event) => {
    dragged = share(event);
    stage.setPointerCapture(event.pointerId);
  });
  stage.addEventListener("pointermove", (event) => {
    if (!dragged) return;
    const now = share(event);
    move(dragged[0] - now[0], dragged[1] - now[1]);
    dragged = now;
  });
  for (const type of ["pointerup", "pointercancel"]) stage.addEventListener(type, () => (dragged = null));
})();
