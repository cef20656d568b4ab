"use strict";
// Coarser groupings, as the run's tree of parts has them: a group's summaries have one color, and its pixels are bright together.
(() => {
  const slider = document.querySelector('input[name="groups"]');
  if (!slider) return;
  const groupings = JSON.parse(slider.dataset.groupings);
  const said = document.getElementById("grouping");
  const svg = "http://www.w3.org/2000/svg";
  const root = document.documentElement;
  const colors = new Map(groupings[0].map(([own]) => [own, getComputedStyle(document.querySelector(`.card.c${own}`)).getPropertyValue("--c")]));
  let drawn = "";

  function use(kind, target, clip) {
    const made = document.createElementNS(svg, "use");
    made.setAttribute("class", `${kind} joining`);
    made.setAttribute("href", target);
    if (clip) made.setAttribute("clip-path", clip);
    return made;
  }

  function draw(grouping) {
    for (const old of document.querySelectorAll(".joining")) old.remove();
    for (const group of grouping) {
      for (const own of group) {
        const others = group.filter((other) => other !== own);
        root.style.setProperty(`--c${own}`, colors.get(group[0]));
        const article = document.getElementById(`summary-${own}`);
        const card = document.querySelector(`.card.c${own} .joined`);
        const note = article.querySelector(".joined");
        card.hidden = note.hidden = others.length === 0;
        card.textContent = `with ${others.join(", ")}`;
        note.textContent = `Grouped with ${others.length === 1 ? "summary" : "summaries"} ${others.join(", ")}: their pixels are bright, too. All figures are those of summary ${own} alone.`;
        if (others.length === 0) continue;
        for (const picture of article.querySelectorAll("svg[data-part]")) {
          const image = picture.dataset.part.split("-")[1];
          for (const part of others.map((other) => `${other}-${image}`)) {
            if (!document.getElementById(`c${part}`)) continue;
            picture.append(use("in-overlay", `#v${image}`, `url(#c${part})`), use("in-mask white", `#s${part}`));
          }
        }
      }
    }
  }

  document.addEventListener("state", ({ detail: { groups } }) => {
    const step = Math.max(0, groupings.findIndex((grouping) => String(grouping.length) === groups));
    slider.value = groupings.length - 1 - step;
    const words = `${groupings[step].length} ${groupings[step].length === 1 ? "group" : "groups"}`;
    slider.setAttribute("aria-valuetext", words);
    said.textContent = step === 0 ? "each by itself; finer parts need a run with --parts" : `${words}: ${groupings[step].map((group) => group.join(" + ")).join(", ")}`;
    if (drawn !== String(step)) draw(groupings[step]);
    drawn = String(step);
  });
  slider.addEventListener("input", () => {
    const step = groupings.length - 1 - Number(slider.value);
    document.dispatchEvent(new CustomEvent("grouped", { detail: step === 0 ? "" : String(groupings[step].length) }));
  });
})();
