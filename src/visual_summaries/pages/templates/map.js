"use strict";
// The map of regions: a point shows its region, a brushed rectangle or a chosen summary selects regions, a selection can be saved.
(() => {
  const map = document.getElementById("map");
  if (!map) return;
  const { rows: regions, places, labels, coco } = JSON.parse(document.getElementById("regions").textContent);
  const points = [...map.querySelectorAll("circle")];
  const brush = map.querySelector(".brush");
  const crops = document.getElementById("crops");
  const caption = document.getElementById("picked");
  const choose = document.getElementById("choose");
  const draw = document.getElementById("draw");
  const numbers = [...map.querySelectorAll("text")];
  const LIMIT = 24; // crops shown of a selection
  const svg = "http://www.w3.org/2000/svg";
  let selected = [];
  let current = -1;
  let start = null;

  // A link with the region's crop, made of nodes: no text from the run is ever read as HTML.
  function crop(region) {
    const link = document.createElement("a");
    link.href = `#image-${region.image}`;
    link.dataset.image = region.image;
    link.className = "tile";
    const picture = document.createElementNS(svg, "svg");
    picture.setAttribute("viewBox", region.window.join(" "));
    picture.setAttribute("role", "img");
    picture.setAttribute("aria-label", `Region of ${region.name}`);
    const view = document.createElementNS(svg, "use");
    view.setAttribute("href", `#v${region.image}`);
    picture.append(view);
    if (region.part) {
      view.setAttribute("href", `#d${region.image}`);
      const bright = document.createElementNS(svg, "use");
      bright.setAttribute("href", `#v${region.image}`);
      bright.setAttribute("clip-path", `url(#c${region.part})`);
      picture.append(bright);
    } else {
      const box = document.createElementNS(svg, "rect");
      const [x0, y0, x1, y1] = region.box;
      for (const [name, value] of Object.entries({ x: x0, y: y0, width: x1 - x0, height: y1 - y0 })) box.setAttribute(name, value);
      box.setAttribute("class", "line box");
      picture.append(box);
    }
    link.append(picture);
    return link;
  }

  function part(region) {
    if (region.summary !== null) return `Summary ${region.summary}`;
    if (region.part) return "In the rest";
    return region.rejected ? "Rejected cluster" : "In no summary";
  }

  // Regions as text for the address: "3-5.9". Positions are in order.
  function ranges(list) {
    const found = [];
    for (const index of list) {
      const last = found.at(-1);
      if (last && last[1] === index - 1) last[1] = index;
      else found.push([index, index]);
    }
    return found.map(([from, to]) => (from === to ? `${from}` : `${from}-${to}`)).join(".");
  }

  function listed(text) {
    return text.split(".").flatMap((range) => {
      const [from, to = from] = range.split("-").map(Number);
      return range === "" || to >= regions.length ? [] : Array.from({ length: to - from + 1 }, (_, k) => from + k);
    });
  }

  // A selection that was made, not one that the address already holds.
  function pick(list) {
    select(list);
    document.dispatchEvent(new CustomEvent("picked", { detail: ranges(list) }));
  }

  // The points of an image and its picture among all images are marked together.
  let opened = "";
  function locate(image) {
    points.forEach((point, index) => point.classList.toggle("here", String(regions[index].image) === image));
    for (const link of document.querySelectorAll(".gallery a")) link.classList.toggle("here", link.dataset.image === image);
  }
  document.querySelector(".gallery").addEventListener("mouseover", ({ target }) => {
    locate(target.closest("a")?.dataset.image ?? opened);
  });
  map.addEventListener("mouseover", ({ target }) => {
    const index = points.indexOf(target);
    locate(index >= 0 ? String(regions[index].image) : opened);
  });
  for (const element of [map, document.querySelector(".gallery")]) element.addEventListener("mouseleave", () => locate(opened));
  document.addEventListener("click", ({ target }) => {
    const image = target.closest?.("[data-locate]")?.dataset.locate;
    if (image) pick(regions.flatMap((region, index) => (String(region.image) === image ? [index] : [])));
  });

  document.addEventListener("state", ({ detail: { map: kind, picked, image } }) => {
    if (opened !== image) locate((opened = image));
    if (kind in places && map.dataset.kind !== kind) {
      map.dataset.kind = kind;
      points.forEach((point, index) => ["cx", "cy"].forEach((name, axis) => point.setAttribute(name, places[kind][index][axis])));
      numbers.forEach((number, index) => {
        number.setAttribute("x", labels[kind][index][1]);
        number.setAttribute("y", labels[kind][index][2] - 4.5);
      });
    }
    if (picked !== ranges(selected)) select(listed(picked));
  });

  function select(list) {
    selected = list;
    const chosen = new Set(list);
    points.forEach((point, index) => point.classList.toggle("chosen", chosen.has(index)));
    map.classList.toggle("some", list.length > 0);
    crops.replaceChildren(...list.slice(0, LIMIT).map((index) => crop(regions[index])));
    crops.classList.toggle("one", list.length === 1);
    const rest = list.length > LIMIT ? `, the first ${LIMIT} shown` : "";
    if (list.length === 1) {
      const region = regions[list[0]];
      const drop = region.drop === null ? "" : `; hidden alone, it takes ${Math.round(100 * region.drop) || 0}\u00a0% off the score`;
      caption.textContent = `${part(region)}, ${region.name}${drop}`;
    } else {
      caption.textContent = list.length ? `${list.length} regions selected${rest}` : caption.dataset.empty;
    }
    for (const button of document.querySelectorAll("button[data-save]")) button.disabled = list.length === 0;
  }

  // Where the pointer is, in the map's own units.
  function place(event) {
    return new DOMPoint(event.clientX, event.clientY).matrixTransform(map.getScreenCTM().inverse());
  }

  function stretch(from, to) {
    const area = { x: Math.min(from.x, to.x), y: Math.min(from.y, to.y), width: Math.abs(from.x - to.x), height: Math.abs(from.y - to.y) };
    for (const [name, value] of Object.entries(area)) brush.setAttribute(name, value);
    return area;
  }

  function within(area) {
    const inside = (value, low, length) => value >= low && value <= low + length;
    return points.flatMap((point, index) =>
      inside(point.cx.baseVal.value, area.x, area.width) && inside(point.cy.baseVal.value, area.y, area.height) ? [index] : []);
  }

  map.addEventListener("pointerover", (event) => {
    const index = points.indexOf(event.target);
    if (index >= 0 && !start && selected.length <= 1) select([(current = index)]); // looking is not picking
  });
  map.addEventListener("pointerdown", (event) => {
    const index = points.indexOf(event.target);
    const drawing = map.classList.contains("drawing");
    if (index >= 0 && !drawing) pick([(current = index)]);
    else if ((event.pointerType !== "touch" || drawing) && event.button === 0) {
      start = place(event);
      map.setPointerCapture(event.pointerId);
      event.preventDefault();
    }
  });
  map.addEventListener("pointermove", (event) => {
    if (start) stretch(start, place(event));
  });
  map.addEventListener("pointerup", (event) => {
    if (!start) return;
    choose.value = "";
    pick(within(stretch(start, place(event))));
    stretch({ x: 0, y: 0 }, { x: 0, y: 0 });
    start = null;
  });
  map.addEventListener("pointercancel", () => {
    stretch({ x: 0, y: 0 }, { x: 0, y: 0 });
    start = null;
  });
  map.addEventListener("keydown", (event) => {
    const step = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
    if (step) {
      current = (current + step + (current < 0 && step < 0 ? 1 : 0) + points.length) % points.length;
      pick(event.shiftKey ? [...new Set([...selected, current])].sort((a, b) => a - b) : [current]);
      event.preventDefault();
    } else if (event.key === "Enter" && selected.length === 1) crops.querySelector("a").click();
    else if (event.key === "Escape") pick([]);
  });
  choose.addEventListener("change", () => {
    const wanted = { "": () => false, all: () => true, none: (region) => region.summary === null };
    const test = wanted[choose.value] ?? ((region) => String(region.summary) === choose.value);
    pick(regions.flatMap((region, index) => (test(region) ? [index] : [])));
  });
  // A finger that drags scrolls the page, unless it draws.
  draw.addEventListener("click", () => draw.setAttribute("aria-pressed", String(map.classList.toggle("drawing"))));

  const columns = ["region", "image", "name", "x0", "y0", "x1", "y1", "summary", "rejected", "member", "similarity", "salient_share", "contribution", "drop"];
  function row(region) {
    const [x0, y0, x1, y1] = region.box;
    const values = { ...region, x0, y0, x1, y1 };
    return columns.map((name) => [name, values[name]]);
  }
  function annotation(region, index) {
    const [x0, y0, x1, y1] = region.box;
    const { height, width } = coco.images[region.image];
    return {
      id: index + 1,
      image_id: region.image + 1,
      category_id: region.summary ?? 0,
      bbox: [x0, y0, x1 - x0, y1 - y0],
      area: region.area,
      iscrowd: 0,
      segmentation: { size: [height, width], counts: region.counts },
      contribution: region.contribution,
      drop: region.drop,
      member: region.member,
    };
  }
  const writers = {
    json: (chosen) => ["json", "application/json", JSON.stringify(chosen.map((region) => Object.fromEntries(row(region))), null, 1)],
    coco: (chosen) => {
      const used = new Set(chosen.map((region) => region.summary ?? 0));
      const categories = coco.categories.filter((category) => used.has(category.id));
      if (used.has(0)) categories.push({ id: 0, name: "no summary", supercategory: "" });
      return ["json", "application/json", JSON.stringify({ ...coco, categories, annotations: chosen.map(annotation) }, null, 1)];
    },
    csv: (chosen) => {
      const quote = (value) => (typeof value === "string" ? `"${value.replaceAll('"', '""')}"` : (value ?? ""));
      return ["csv", "text/csv", [columns, ...chosen.map((region) => row(region).map(([, value]) => quote(value)))].map((line) => line.join(",")).join("\r\n") + "\r\n"];
    },
  };
  for (const button of document.querySelectorAll("button[data-save]")) {
    button.addEventListener("click", () => {
      const kind = button.dataset.save;
      const [ending, type, content] = writers[kind](selected.map((index) => regions[index]));
      const link = document.createElement("a");
      link.href = URL.createObjectURL(new Blob([content], { type }));
      link.download = `regions${kind === "coco" ? "-coco" : ""}.${ending}`;
      link.click();
      setTimeout(() => URL.revokeObjectURL(link.href), 1000);
    });
  }
  select([]);
})();
