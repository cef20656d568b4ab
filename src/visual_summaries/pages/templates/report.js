// State lives in the address (#summary=2&image=7&view=mask&mask=40&picked=3-5.9&theme=dark), so that a view can be bookmarked and sent.
(() => {
  const root = document.documentElement;
  const defaults = { summary: "1", image: "", view: "overlay", mask: "sharp", regions: "on", map: "neighbors", picked: "", theme: "",
    order: "rank", only: "all", groups: "", sort: "run", with: "any", find: "" };
  const allowed = {
    view: /^(image|mask|overlay|hidden|warped)$/,
    mask: /^(off|hidden|smooth|sharp|100|[1-9]?\d)$/, // a number: per cent of the way from smooth to sharp
    regions: /^(on|off)$/,
    map: /^(neighbors|distances)$/,
    picked: /^\d+(-\d+)?(\.\d+(-\d+)?)*$/,
    theme: /^(light|dark)$/,
    order: /^(rank|importance|images|stability|quality)$/,
    only: /^(all|beats|steady|here)$/,
    groups: /^\d*$/,
    sort: /^(run|name|score|left|effect)$/,
    with: /^(any|none|warned|other|\d+)$/,
    find: /^[^]{0,200}$/,
  };
  const chosen = ["order", "only", "sort", "with", "find"]; // selects and fields named after what they choose
  const [slider, masked, hidden, outlined] = ["mask", "masked", "hidden", "outlined"].map((name) => document.querySelector(`#masks input[name="${name}"]`));
  const dark = window.matchMedia("(prefers-color-scheme: dark)");
  const theme = document.getElementById("theme");
  const state = { ...defaults };

  function exists(kind, value) {
    return /^\d+$/.test(value) && document.getElementById(`${kind}-${value}`) !== null;
  }

  // Takes what is valid from the address; anything else keeps its default. Returns the element to show, if one is named.
  function read() {
    Object.assign(state, defaults);
    const hash = location.hash.slice(1);
    const anchor = /^(summary|image)-(\d+)$/.exec(hash);
    const given = anchor ? [[anchor[1], anchor[2]]] : new URLSearchParams(hash);
    for (const [key, value] of given) {
      if (key in allowed ? allowed[key].test(value) : key in defaults && exists(key, value)) state[key] = value;
    }
    if (anchor && exists(anchor[1], anchor[2])) return document.getElementById(hash);
    return /^[a-z-]+$/.test(hash) ? document.getElementById(hash) : null;
  }

  function address() {
    const changed = Object.entries(state).filter(([key, value]) => value !== defaults[key]);
    return "#" + new URLSearchParams(changed).toString();
  }

  function mark(kind, value) {
    for (const article of document.querySelectorAll(`.${kind}.open`)) article.classList.remove("open");
    for (const link of document.querySelectorAll(`a[data-${kind}]`)) {
      const current = link.dataset[kind] === value;
      if (link.classList.contains("card")) link.classList.toggle("open", current);
      if (current && link.closest(".strip, .gallery")) link.setAttribute("aria-current", "true");
      else link.removeAttribute("aria-current");
    }
    if (value !== "") document.getElementById(`${kind}-${value}`)?.classList.add("open");
  }

  function show() {
    mark("summary", state.summary);
    mark("image", state.image);
    document.getElementById("images").classList.toggle("opened", state.image !== "");
    root.dataset.view = state.view;
    const without = state.mask === "off" || state.mask === "hidden";
    root.dataset.mask = without ? state.mask : "on";
    root.dataset.regions = state.regions;
    const sharpness = { off: slider.value, hidden: slider.value, smooth: "0", sharp: "100" }[state.mask] ?? state.mask;
    slider.value = sharpness;
    slider.disabled = without;
    slider.setAttribute("aria-valuetext", { 0: "smooth", 100: "sharp" }[sharpness] ?? `${sharpness} % of the way to sharp`);
    // What the network sees is hidden by the sharp mask, wherever the slider is.
    document.querySelector(".store").style.setProperty("--sharp", state.mask === "hidden" ? 1 : sharpness / 100);
    masked.checked = !without;
    hidden.checked = state.mask === "hidden";
    outlined.checked = state.regions !== "off";
    document.dispatchEvent(new CustomEvent("state", { detail: state }));
    for (const name of chosen) {
      const field = document.querySelector(`select[name="${name}"], input[name="${name}"]`);
      if (field && field.value !== state[name]) field.value = state[name];
    }
    for (const link of document.querySelectorAll(".image.open .steps a[rel]")) link.hidden = !beside("image", link.rel === "next" ? 1 : -1);
    for (const name of ["view", "map"]) {
      for (const input of document.querySelectorAll(`input[name="${name}"]`)) input.checked = input.value === state[name];
    }
    if (state.theme) root.dataset.theme = state.theme;
    else delete root.dataset.theme;
    const isDark = (state.theme || (dark.matches ? "dark" : "light")) === "dark";
    theme.textContent = isDark ? "Light" : "Dark";
    theme.setAttribute("aria-label", `Switch to ${isDark ? "light" : "dark"} colors`);
  }

  function go(change, replace) {
    Object.assign(state, change);
    history[replace ? "replaceState" : "pushState"](null, "", address());
    show();
  }

  // The card or the image before or after the open one, in the order that is seen.
  function beside(kind, step) {
    const links = [...document.querySelectorAll(kind === "summary" ? ".strip li:not([hidden]) a[data-summary]" : ".gallery li:not([hidden]) a")];
    const at = links.findIndex((link) => link.dataset[kind] === state[kind]);
    return at < 0 ? links[0] : links[at + step];
  }

  function step(kind, by) {
    const link = beside(kind, by);
    if (!link) return;
    go({ [kind]: link.dataset[kind] }, true);
    if (kind === "image") reveal(document.getElementById(`image-${state.image}`));
    else link.scrollIntoView({ block: "nearest", inline: "nearest" });
  }

  // Left and right go through the images while one is open and has the focus, else through the summaries.
  document.addEventListener("keydown", (event) => {
    const by = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    const { target } = event;
    if (!by || event.ctrlKey || event.metaKey || event.altKey || event.shiftKey || event.defaultPrevented) return;
    if (target.closest?.("input, select, textarea, dialog, #map, .scroll")) return;
    step(state.image !== "" && target.closest?.("#images") ? "image" : "summary", by);
    event.preventDefault();
  });

  function reveal(element) {
    for (let parent = element; parent; parent = parent.parentElement) {
      if (parent instanceof HTMLDetailsElement) parent.open = true;
    }
    element.scrollIntoView({ block: "start" });
    (element.querySelector("h2[tabindex], h3[tabindex]") ?? element.querySelector("summary"))?.focus({ preventScroll: true });
  }

  document.addEventListener("click", (event) => {
    const link = event.target.closest?.("a[href^='#']");
    if (!link || event.ctrlKey || event.metaKey || event.shiftKey) return;
    event.preventDefault();
    const { summary, image } = link.dataset;
    if (summary) {
      go({ summary });
      if (link.closest(".strip")) link.scrollIntoView({ block: "nearest", inline: "nearest" });
      else reveal(document.getElementById(`summary-${summary}`));
    } else if (link.rel === "prev" || link.rel === "next") {
      step("image", link.rel === "next" ? 1 : -1);
    } else if (image) {
      go({ image });
      reveal(document.getElementById(`image-${image}`));
    } else {
      const opened = document.querySelector(".gallery a[aria-current]");
      if ("close" in link.dataset) go({ image: "" });
      reveal(document.querySelector(link.getAttribute("href")));
      if ("close" in link.dataset) opened?.focus({ preventScroll: true });
    }
  });
  document.addEventListener("change", (event) => {
    const { name, value, checked } = event.target;
    if (name === "view" || name === "map") go({ [name]: value }, true);
    else if (name === "masked") go({ mask: checked ? named(slider.value) : "off" }, true);
    else if (name === "hidden") go({ mask: checked ? "hidden" : named(slider.value) }, true);
    else if (name === "outlined") go({ regions: checked ? "on" : "off" }, true);
    else if (chosen.includes(name)) go({ [name]: value }, true);
  });
  document.querySelector('input[name="find"]').addEventListener("input", ({ target }) => go({ find: target.value }, true));
  document.addEventListener("grouped", ({ detail }) => go({ groups: detail }, true));
  slider.addEventListener("input", () => go({ mask: named(slider.value) }, true));
  document.addEventListener("picked", (event) => go({ picked: event.detail }, true));

  function named(sharpness) {
    return { 0: "smooth", 100: "sharp" }[sharpness] ?? sharpness;
  }

  // On paper everything is open; afterwards it is as it was.
  let closed = [];
  window.addEventListener("beforeprint", () => {
    closed = [...document.querySelectorAll("details:not([open])")];
    for (const panel of closed) panel.open = true;
  });
  window.addEventListener("afterprint", () => {
    for (const panel of closed) panel.open = false;
  });
  // A region's row picks it out of the image.
  for (const type of ["mouseover", "focusin"]) {
    document.addEventListener(type, (event) => {
      const row = event.target.closest?.("tr[data-region]");
      for (const old of document.querySelectorAll(".image.picked, .image .hit")) old.classList.remove("picked", "hit");
      if (!row) return;
      const article = row.closest(".image");
      article.classList.add("picked");
      for (const part of article.querySelectorAll(`svg [data-region="${row.dataset.region}"]`)) part.classList.add("hit");
    });
  }
  theme.addEventListener("click", () => go({ theme: theme.textContent.toLowerCase() }, true));
  theme.hidden = false;
  dark.addEventListener("change", show);
  window.addEventListener("hashchange", follow);
  window.addEventListener("popstate", follow);

  function follow() {
    const element = read();
    show();
    if (element) reveal(element);
  }
  follow();
  if (state.image && location.hash.includes("image=")) document.getElementById(`image-${state.image}`).scrollIntoView();
})();
