// Before the first paint: with a script the page shows one summary at a time, without one it shows all.
document.documentElement.classList.add("js");
