"use strict";
// What is searched and sorted lives in the address (#find=jay&sort=accuracy&down=1&theme=dark), so that a view can be sent.
(() => {
  const root = document.documentElement;
  const body = document.querySelector("#runs tbody");
  const buttons = [...document.querySelectorAll("#runs thead button")];
  const search = document.getElementById("search");
  const shown = document.getElementById("shown");
  const nothing = document.getElementById("nothing");
  const theme = document.getElementById("theme");
  const dark = window.matchMedia("(prefers-color-scheme: dark)");
  const rows = [...body.rows].map((row) => ({ row, find: row.dataset.find }));
  const collator = new Intl.Collator(undefined, { numeric: true, sensitivity: "base" });
  const defaults = { find: "", sort: "", down: "", theme: "" };
  const state = { ...defaults };
  const values = new Map(); // column -> one value a row, made when it is first sorted by

  function column(index, kind) {
    if (!values.has(index)) {
      values.set(index, rows.map(({ row }) => {
        const cell = row.cells[index];
        const value = cell.dataset.v ?? cell.textContent;
        const number = Number(value);
        return kind.startsWith("num") && value !== "" && !Number.isNaN(number) ? number : value;
      }));
    }
    return values.get(index);
  }

  function order() {
    const index = buttons.findIndex((button) => button.dataset.key === state.sort);
    buttons.forEach((button, at) => {
      button.closest("th").setAttribute("aria-sort", at !== index ? "none" : state.down ? "descending" : "ascending");
    });
    const places = rows.map((_, at) => at);
    if (index >= 0) {
      const by = column(index, buttons[index].dataset.kind);
      const sign = state.down ? -1 : 1;
      places.sort((a, b) => {
        const [x, y] = [by[a], by[b]];
        const difference = typeof x === "number" && typeof y === "number" ? x - y : collator.compare(String(x), String(y));
        return sign * difference || a - b;
      });
    }
    body.append(...places.map((at) => rows[at].row));
  }

  function filter() {
    const words = state.find.toLowerCase().split(/\s+/).filter(Boolean);
    let count = 0;
    for (const { row, find } of rows) {
      const hit = words.every((word) => find.includes(word));
      row.hidden = !hit;
      count += hit;
    }
    shown.textContent = words.length ? `${count} of ${rows.length} runs` : `${rows.length} ${rows.length === 1 ? "run" : "runs"}`;
    nothing.hidden = count > 0;
  }

  function color() {
    if (state.theme) root.dataset.theme = state.theme;
    else delete root.dataset.theme;
    const isDark = (state.theme || (dark.matches ? "dark" : "light")) === "dark";
    theme.textContent = isDark ? "Light" : "Dark";
    theme.setAttribute("aria-label", `Switch to ${isDark ? "light" : "dark"} colors`);
  }

  function go(change) {
    Object.assign(state, change);
    const changed = Object.entries(state).filter(([key, value]) => value !== defaults[key]);
    history.replaceState(null, "", "#" + new URLSearchParams(changed).toString());
  }

  function read() {
    Object.assign(state, defaults);
    for (const [key, value] of new URLSearchParams(location.hash.slice(1))) {
      if (key === "find") state.find = value;
      if (key === "sort" && buttons.some((button) => button.dataset.key === value)) state.sort = value;
      if (key === "down" && value === "1") state.down = "1";
      if (key === "theme" && ["light", "dark"].includes(value)) state.theme = value;
    }
    search.value = state.find;
    if (state.sort) order();
    if (state.find) filter();
    color();
  }

  for (const button of buttons) {
    button.addEventListener("click", () => {
      const { key, kind } = button.dataset;
      // Numbers are sorted from the highest, names from A.
      const first = kind.startsWith("num") ? "1" : "";
      go({ sort: key, down: state.sort !== key ? first : state.down ? "" : "1" });
      order();
    });
  }
  search.addEventListener("input", () => {
    go({ find: search.value });
    filter();
  });
  theme.addEventListener("click", () => {
    go({ theme: theme.textContent.toLowerCase() });
    color();
  });
  theme.hidden = false;
  dark.addEventListener("change", color);
  window.addEventListener("hashchange", () => {
    read();
    order();
    filter();
  });
  read();
})();
