"use strict";
// Sorting and filtering of summaries and images; what is chosen lives in the state of report.js.
(() => {
  const cards = [...document.querySelectorAll(".strip > li[data-number]")];
  const tiles = [...document.querySelectorAll(".gallery > li")];
  const collator = new Intl.Collator(undefined, { numeric: true, sensitivity: "base" });
  const number = (value) => (Number.isFinite(Number(value)) ? Number(value) : -Infinity); // what is not known comes last
  const effects = tiles.map((tile) => new Map(tile.dataset.effects.trim().split(/\s+/).filter(Boolean).map((pair) => pair.split(":"))));
  const places = new Map(tiles.map((tile, index) => [tile, index]));

  function arrange(all, compare, fits) {
    const order = all.map((one, at) => [one, at]).sort(([a, i], [b, j]) => compare(a, b) || i - j);
    let count = 0;
    for (const [one] of order) {
      one.hidden = !fits(one);
      count += !one.hidden;
    }
    all[0]?.parentElement.prepend(...order.map(([one]) => one)); // the card of the rest stays last
    return count;
  }

  function has(tile, summary) {
    return effects[places.get(tile)].has(summary);
  }

  const kinds = {
    all: () => true,
    beats: (card) => card.dataset.beats === "yes",
    steady: (card) => card.dataset.steady === "yes",
    here: (card, state) => state.image === "" || has(tiles[state.image], card.dataset.number),
  };
  const companies = {
    any: () => true,
    none: (tile) => effects[places.get(tile)].size === 0,
    warned: (tile) => "warned" in tile.dataset,
    other: (tile) => "other" in tile.dataset,
  };
  const orders = {
    run: () => 0,
    name: (a, b) => collator.compare(a.dataset.name, b.dataset.name),
    score: (a, b) => number(b.dataset.score) - number(a.dataset.score),
    left: (a, b) => number(b.dataset.left) - number(a.dataset.left),
    effect: (a, b, summary) => number(effects[places.get(b)].get(summary)) - number(effects[places.get(a)].get(summary)) || 0,
  };

  let last = "";
  document.addEventListener("state", ({ detail: state }) => {
    const { order, only, sort, find, with: company, summary, image } = state;
    const now = JSON.stringify([order, only, sort, find, company, sort === "effect" && summary, only === "here" && image]);
    if (now === last) return;
    last = now;
    const shown = arrange(cards, (a, b) => number(b.dataset[order]) - number(a.dataset[order]) || 0, (card) => kinds[only](card, state));
    const nothing = document.getElementById("no-summary");
    if (nothing) nothing.hidden = shown > 0;
    const words = find.toLowerCase().split(/\s+/).filter(Boolean);
    const belongs = companies[company] ?? ((tile) => has(tile, company));
    const count = arrange(tiles, (a, b) => orders[sort](a, b, summary), (tile) => belongs(tile) && words.every((word) => tile.dataset.find.includes(word)));
    document.getElementById("no-image").hidden = count > 0 || tiles.length === 0;
    const noun = tiles.length === 1 ? "image" : "images";
    document.getElementById("found").textContent = count === tiles.length ? `${count} ${noun}` : `${count} of ${tiles.length} ${noun}`;
  });
})();
