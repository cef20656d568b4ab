"use strict";
// A study: welcome, then for each kind of task an introduction, practice and the tasks, then the file with the answers.
// Every answer is kept in the page's storage immediately. Texts become nodes, never HTML.
(() => {
  const study = JSON.parse(document.getElementById("study").textContent);
  const root = document.documentElement;
  const screen = document.getElementById("screen");
  const KEY = `visual-summaries-study:${study.study}`;
  const byId = new Map(study.sections.flatMap((section) => section.tasks.map((task) => [task.id, task])));
  const TITLES = {
    intruder: "Which one does not belong?",
    name: "What is in color?",
    preference: "Which side explains it better?",
  };
  const KEYS = {
    intruder: "On a keyboard: the digits choose, Enter continues.",
    name: "On a keyboard: Enter continues, Tab reaches the buttons.",
    preference: "On a keyboard: A, B and 0 (no difference) choose, Enter continues.",
  };

  // ---- storage: what is kept, and what happens where a browser keeps nothing ----
  let kept = true;
  let memory = null;
  function read() {
    try {
      const found = JSON.parse(localStorage.getItem(KEY));
      return found && found.study === study.study ? found : null;
    } catch {
      return memory;
    }
  }
  function store(change) {
    memory = state;
    try {
      change(localStorage);
      kept = true;
    } catch {
      kept = false;
    }
  }
  function write() {
    store((storage) => storage.setItem(KEY, JSON.stringify(state)));
  }
  let state = read();
  let choose = null; // what a key does on this screen
  let welcomed = false;
  const introduced = new Set();

  function shuffled(items) {
    const places = crypto.getRandomValues(new Uint32Array(items.length));
    return [...places.keys()].sort((a, b) => places[a] - places[b]).map((index) => items[index]);
  }
  function newState() {
    const bytes = crypto.getRandomValues(new Uint8Array(6));
    const shown = {};
    for (const task of byId.values()) shown[task.id] = shuffled(task.options ?? task.sides.map((side) => side.id));
    return {
      study: study.study,
      participant: [...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join(""),
      started: new Date().toISOString(),
      finished: null,
      order: Object.fromEntries(study.sections.map((section) => [section.kind, shuffled(section.tasks.map((task) => task.id))])),
      shown,
      answers: [],
      practice: [],
      open: null,
      comment: "",
      saved: false,
    };
  }

  // ---- time: only while the page is seen; a reload continues where it was ----
  let since = null;
  function seconds() {
    return state.open.seconds + (since === null ? 0 : (performance.now() - since) / 1000);
  }
  function opened(id) {
    if (state.open?.id !== id) state.open = { id, seconds: 0, draft: null };
    since = document.hidden ? null : performance.now();
    write();
  }
  function pause() {
    if (state?.open && since !== null) {
      state.open.seconds = seconds();
      since = document.hidden ? null : performance.now();
      write();
    }
  }
  function draft(value) {
    state.open.draft = value;
    pause();
  }

  // ---- nodes ----
  function node(name, attributes = {}, ...children) {
    const made = document.createElement(name);
    for (const [key, value] of Object.entries(attributes)) {
      if (key.startsWith("on")) made.addEventListener(key.slice(2), value);
      else if (typeof value === "boolean") made.toggleAttribute(key, value);
      else made.setAttribute(key, value);
    }
    made.append(...children.filter((child) => child !== null));
    return made;
  }
  function picture(id, alt) {
    return node("img", { src: study.pictures[id], alt, draggable: "false" });
  }
  function show(...children) {
    choose = null;
    screen.replaceChildren(...children.filter((child) => child !== null));
    window.scrollTo(0, 0);
    const title = screen.querySelector("h1, legend");
    title?.setAttribute("tabindex", "-1");
    title?.focus({ preventScroll: true });
  }
  function button(text, onclick, attributes = {}) {
    return node("button", { type: "button", class: "main", onclick, ...attributes }, text);
  }

  // ---- where we are ----
  function given(answers, section) {
    return answers.filter((answer) => answer.kind === section.kind).length;
  }
  function progress(section, practice) {
    const track = document.getElementById("track");
    const total = byId.size;
    const count = state?.answers.length ?? 0;
    track.hidden = !state;
    track.setAttribute("aria-valuemax", total);
    track.setAttribute("aria-valuenow", count);
    document.getElementById("fill").setAttribute("width", (100 * count) / total);
    const part = section ? `Part ${study.sections.indexOf(section) + 1} of ${study.sections.length}` : "";
    const step = section && !practice ? ` · ${Math.min(given(state.answers, section) + 1, section.tasks.length)} of ${section.tasks.length}` : "";
    document.getElementById("where").textContent = part + (practice ? " · practice" : step);
  }

  function next() {
    since = null;
    if (!state || !welcomed) return welcome();
    for (const section of study.sections) {
      const practice = section.practice[given(state.practice, section)];
      if (practice) {
        if (!introduced.has(section.kind)) return introduce(section);
        return ask(section, practice, true);
      }
      const id = state.order[section.kind][given(state.answers, section)];
      if (id) return ask(section, byId.get(id), false);
    }
    return finish();
  }

  // ---- screens ----
  function welcome() {
    progress(null);
    const total = byId.size;
    const again = state
      ? node("p", { class: "card-note" }, state.finished ? "All tasks were answered in this browser. " : `Welcome back: ${state.answers.length} of ${total} tasks are done. `)
      : null;
    const start = button(state ? (state.finished ? "To my answers" : "Continue") : "Start", () => {
      welcomed = true;
      if (!state) {
        state = newState();
        write();
      }
      next();
    });
    show(
      node("h1", {}, study.title),
      node("p", { class: "headline" }, `You will see small pictures and answer ${total} short questions about them, in about ${study.minutes} minutes. Nothing has to be known beforehand; each part starts with practice.`),
      node("ul", { class: "points" },
        node("li", {}, node("b", {}, "Nothing is sent anywhere. "), "Your answers are kept in this browser as you give them. You can close the page and continue later, in the same browser."),
        node("li", {}, node("b", {}, "Taking part is voluntary. "), "You can stop at any time. Only a file that you send is used."),
        node("li", {}, node("b", {}, "No name is asked. "), "The file with your answers has them, how long each took, and a number drawn at random."),
        node("li", {}, node("b", {}, "At the end "), study.contact ? "you save the answers as one file and send it to " : "you save the answers as one file and send it to the person who asked you.", study.contact ? node("bdi", {}, study.contact) : "", study.contact ? "." : "")),
      warning(),
      again,
      node("p", { class: "actions" }, start, state ? startAgain() : null),
    );
  }

  function warning() {
    return node("p", { class: "note", id: "not-kept", hidden: kept }, "This browser keeps nothing for this page (private window, or storage is blocked): please finish without closing it.");
  }

  // Two presses, so that nobody loses answers by one.
  function startAgain() {
    const label = "Start again as another person";
    const made = button(label, () => {
      if (made.textContent === label) {
        made.textContent = state.saved ? "Really start again?" : "Really start again? These answers are not saved as a file yet";
        return;
      }
      state = null;
      store((storage) => storage.removeItem(KEY));
      welcomed = false;
      introduced.clear();
      next();
    }, { class: "quiet" });
    return made;
  }

  const LOOK = "In each picture only a part is in color, within a thin white line. Look at that part. What is gray around it only helps you to see where it is.";
  const TEXTS = {
    intruder: (section) => [
      `You see ${section.tasks[0].options.length} pictures. All but one show the same part of something, for example an eye in each. One does not belong with them: choose that one.`,
      "If you cannot tell, guess: that happens in a study like this.",
    ],
    name: () => [
      "You see some pictures. What part of something is in color in all of them? Write it in one or two words.",
      "If most of the parts have nothing in common, say so by the button.",
    ],
    preference: () => [
      "You see two sides, A and B. On each, every row shows one part by which a computer recognizes a thing, in several pictures.",
      "Which side explains better how that thing is recognized? There is no right answer. If you see no difference, say so.",
    ],
  };

  function introduce(section) {
    progress(section, true);
    show(
      node("p", { class: "eyebrow" }, `Part ${study.sections.indexOf(section) + 1} of ${study.sections.length}`),
      node("h1", {}, TITLES[section.kind]),
      ...TEXTS[section.kind](section).map((text) => node("p", { class: "headline" }, text)),
      node("p", { class: "lead" }, LOOK),
      node("p", { class: "lead keys" }, KEYS[section.kind]),
      node("p", { class: "actions" }, button(`Practice with ${section.practice.length === 1 ? "one example" : `${section.practice.length} examples`}`, () => {
        introduced.add(section.kind);
        next();
      })),
    );
  }

  // A task of any kind is a form: what is chosen, a button to continue, and for practice the feedback.
  function ask(section, task, practice) {
    progress(section, practice);
    opened(task.id);
    const proceed = node("button", { type: "submit", class: "main", disabled: true }, "Next");
    const feedback = node("div", { class: "feedback", role: "status" });
    const part = { intruder: askIntruder, name: askName, preference: askPreference }[section.kind](task, () => {
      proceed.disabled = part.value() === null;
    });
    let told = false;
    const form = node("form", {
      class: `task ${section.kind}`,
      autocomplete: "off",
      onsubmit: (event) => {
        event.preventDefault();
        const value = part.value();
        if (told) return next();
        if (value === null) return;
        const answer = { task: task.id, kind: section.kind, ...value, seconds: Math.round(seconds() * 100) / 100, at: new Date().toISOString() };
        state.open = null;
        since = null;
        if (!practice) {
          state.answers.push(answer);
          if (state.answers.length === byId.size) state.finished = new Date().toISOString();
          write();
          return next();
        }
        told = true;
        const right = correct(section.kind, task, value);
        state.practice.push({ ...answer, right });
        write();
        part.reveal(task.answer);
        feedback.className = `feedback ${right ? "right" : "wrong"}`;
        feedback.replaceChildren(node("b", {}, verdict(section.kind, value, right)), task.explanation);
        const last = given(state.practice, section) === section.practice.length;
        proceed.textContent = last ? `Start the ${section.tasks.length} tasks` : "Next";
        proceed.focus({ preventScroll: true });
        feedback.scrollIntoView({ block: "nearest" });
      },
    },
    node("fieldset", {},
      node("legend", {}, task.instruction ?? question(section.kind, task)),
      part.body),
    practice ? feedback : null,
    node("p", { class: "actions" }, proceed, ...part.buttons, node("span", { class: "lead keys" }, KEYS[section.kind])),
    warning());
    show(practice ? node("p", { class: "eyebrow" }, "Practice") : null, form);
    if (state.open?.draft !== null) part.restore(state.open.draft);
    part.focus?.();
    choose = part.key ?? null;
  }

  function question(kind, task) {
    if (kind === "intruder") return "Which one does not belong with the others?";
    if (kind === "name") return "What is in color in these pictures?";
    return `Which side explains better how “${task.class}” is recognized?`;
  }

  // Neither an opinion nor a name that was written is judged: the explanation says what to look for.
  function verdict(kind, value, right) {
    if (kind === "preference" || (kind === "name" && right && !value.nothing)) return "";
    return right ? "Right. " : "Not quite. ";
  }

  function correct(kind, task, value) {
    if (kind === "name") return task.answer === "nothing" ? value.nothing === true : value.nothing !== true;
    return value.choice === task.answer;
  }

  // Radio buttons under the pictures: `options` are [id, label, body], the id null for "no difference".
  function radios(task, options, changed) {
    const inputs = options.map(([id]) => node("input", { type: "radio", name: "choice", value: id ?? "", onchange: () => {
      draft(id ?? "");
      changed();
    } }));
    const labels = options.map(([, name, body], index) => node("label", { class: `choice${body ? "" : " none"}` }, inputs[index], ...(body ? [body] : []), node("span", { class: "label" }, name)));
    return {
      labels,
      value: () => {
        const index = inputs.findIndex((input) => input.checked);
        return index < 0 ? null : { choice: options[index][0], shown: task };
      },
      restore: (value) => {
        const found = inputs.find((input) => input.value === value);
        if (found) found.checked = true;
        changed();
      },
      pick: (index) => {
        if (!inputs[index] || inputs[index].disabled) return;
        inputs[index].click();
        inputs[index].focus({ preventScroll: true });
      },
      reveal: (answer) => options.forEach(([id], index) => {
        inputs[index].disabled = true;
        labels[index].classList.toggle("answer", id === answer);
        labels[index].classList.toggle("missed", inputs[index].checked && id !== answer);
      }),
    };
  }

  function askIntruder(task, changed) {
    const order = state.shown[task.id] ?? task.options;
    const group = radios(order, order.map((id, index) => [id, String(index + 1), picture(id, `Picture ${index + 1}`)]), changed);
    return {
      ...group,
      body: node("div", { class: `choices n${order.length}` }, ...group.labels),
      buttons: [],
      key: (key) => /^[1-9]$/.test(key) && group.pick(Number(key) - 1),
    };
  }

  function askPreference(task, changed) {
    const order = state.shown[task.id] ?? task.sides.map((side) => side.id);
    const sides = order.map((id) => task.sides.find((side) => side.id === id));
    const body = (side, letter) => node("span", { class: "rows-of" }, ...side.rows.map((row, number) => node("span", { class: "row" }, ...row.map((id, index) => picture(id, `Side ${letter}, row ${number + 1}, picture ${index + 1}`)))));
    const group = radios(order, [...sides.map((side, index) => [side.id, `Side ${"AB"[index]}`, body(side, "AB"[index])]), [null, "No difference", null]], changed);
    return {
      ...group,
      body: node("div", { class: "sides" }, ...group.labels),
      buttons: [],
      key: (key) => group.pick({ a: 0, b: 1, 0: 2 }[key.toLowerCase()] ?? -1),
    };
  }

  function askName(task, changed) {
    const order = state.shown[task.id] ?? task.options;
    let nothing = false;
    const input = node("input", { type: "text", id: "answer", maxlength: "60", autocomplete: "off", autocapitalize: "none", spellcheck: "true", enterkeyhint: "next", oninput: () => {
      set(false);
      draft(input.value);
    } });
    const none = button("Nothing in common", () => {
      set(!nothing);
      if (nothing) input.value = "";
      draft(nothing ? { nothing: true } : "");
      changed();
    }, { class: "second", "aria-pressed": "false" });
    function set(value) {
      nothing = value;
      none.setAttribute("aria-pressed", String(nothing));
      changed();
    }
    return {
      body: node("div", {}, node("div", { class: `choices look n${order.length}` }, ...order.map((id, index) => picture(id, `Picture ${index + 1}`))),
        node("p", { class: "write" }, node("label", { for: "answer" }, "They show"), input)),
      buttons: [none],
      value: () => (nothing ? { nothing: true, text: null } : input.value.trim() ? { nothing: false, text: input.value.trim() } : null),
      restore: (value) => {
        if (typeof value === "string") input.value = value;
        else set(Boolean(value?.nothing));
        changed();
      },
      reveal: () => {
        input.disabled = true;
        none.disabled = true;
      },
      focus: () => window.matchMedia("(hover: hover)").matches && input.focus({ preventScroll: true }),
    };
  }

  // ---- the end ----
  function answersFile() {
    const { participant, started, finished, answers, practice, comment } = state;
    return {
      format: "visual-summaries study answers",
      version: 1,
      study: study.study,
      participant,
      simulated: null,
      started,
      finished,
      complete: answers.length === byId.size,
      answers,
      practice,
      comment,
    };
  }

  function finish() {
    progress(null);
    const name = `answers-${study.study.slice(0, 8)}-${state.participant}.json`;
    const said = node("p", { class: "lead", role: "status", id: "said" }, state.saved ? "The file was saved before." : "");
    const text = () => JSON.stringify(answersFile(), null, 1) + "\n";
    const copied = node("textarea", { readonly: true, hidden: true, rows: "8", "aria-label": "Your answers as text" });
    const saved = (what) => {
      state.saved = true;
      write();
      said.textContent = what;
    };
    const comment = node("textarea", { id: "comment", rows: "2", maxlength: "2000", oninput: () => {
      state.comment = comment.value;
      write();
    } });
    comment.value = state.comment;
    const save = button("Save my answers", () => {
      const link = node("a", { href: URL.createObjectURL(new Blob([text()], { type: "application/json" })), download: name });
      link.click();
      setTimeout(() => URL.revokeObjectURL(link.href), 10000);
      saved(`Saved as ${name} where this browser puts downloads.`);
    }, { id: "save" });
    const share = navigator.canShare?.({ files: [new File(["{}"], name, { type: "application/json" })] })
      ? button("Share …", () => navigator.share({ files: [new File([text()], name, { type: "application/json" })] }).then(() => saved("Shared."), () => {}), { class: "second" })
      : null;
    const copy = button("Show as text", async () => {
      copied.hidden = false;
      copied.value = text();
      copied.focus();
      copied.select();
      try {
        await navigator.clipboard.writeText(copied.value);
        saved("The text is copied: paste it into a message.");
      } catch {
        said.textContent = "Copy the text and paste it into a message.";
      }
    }, { class: "second", id: "copy" });
    show(
      node("h1", {}, "Done. Thank you!"),
      node("p", { class: "headline" }, "Now save your answers as one file and send it to ", study.contact ? node("bdi", {}, study.contact) : "the person who asked you", ". Nothing was sent by itself."),
      node("p", { class: "write stacked" }, node("label", { for: "comment" }, "Anything to add? (may stay empty)"), comment),
      node("p", { class: "actions" }, save, share, copy),
      said,
      copied,
      warning(),
      node("p", { class: "actions later" }, startAgain()),
    );
  }

  // ---- keys, time, colors, other tabs ----
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || /^(text|textarea)$/.test(event.target.type ?? "")) return;
    if (event.key === "Enter" && event.target.type === "radio") {
      event.preventDefault();
      screen.querySelector("form button[type=submit]:enabled")?.click();
    } else if (event.key === "Enter" && !(event.target instanceof HTMLButtonElement)) {
      screen.querySelector("form button[type=submit]:enabled, .main:enabled")?.click();
    } else choose?.(event.key);
  });
  document.addEventListener("visibilitychange", () => {
    if (!state?.open) return;
    if (document.hidden) pause();
    else since ??= performance.now();
  });
  window.addEventListener("pagehide", pause);
  // The same study open in two tabs: the one that did not write shows what was kept.
  window.addEventListener("storage", (event) => {
    if (event.key !== KEY) return;
    state = read();
    next();
  });
  const dark = window.matchMedia("(prefers-color-scheme: dark)");
  const theme = document.getElementById("theme");
  function isDark() {
    return (root.dataset.theme ?? (dark.matches ? "dark" : "light")) === "dark";
  }
  function colors() {
    theme.textContent = isDark() ? "Light" : "Dark";
    theme.setAttribute("aria-label", `Switch to ${isDark() ? "light" : "dark"} colors`);
  }
  theme.addEventListener("click", () => {
    root.dataset.theme = isDark() ? "light" : "dark";
    colors();
  });
  dark.addEventListener("change", colors);
  theme.hidden = false;
  colors();
  // Finds out whether anything can be kept before the first answer is given.
  store((storage) => {
    storage.setItem(`${KEY}:try`, "1");
    storage.removeItem(`${KEY}:try`);
  });
  next();
})();
