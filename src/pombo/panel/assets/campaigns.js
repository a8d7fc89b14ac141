/* Campaigns: a file that is dropped or chosen, variables put in where the cursor stands, a number that has to be typed.
   Without this all works, too. */
"use strict";
addEventListener("DOMContentLoaded", () => {
  const form = document.querySelector("[data-upload]");
  if (form) {
    const input = form.querySelector("input[type=file]"), drop = form.querySelector("[data-drop]");
    const name = form.querySelector("[data-file]"), about = form.querySelector("[data-about]"), button = form.querySelector("[data-go-on]");
    const size = octets => octets < 1e6 ? Math.ceil(octets / 1e3) + " kB" : (octets / 1e6).toLocaleString(document.documentElement.lang, { maximumFractionDigits: 1 }) + " MB";
    const chosen = () => {
      const file = input.files[0];
      if (!file) return;
      name.textContent = file.name;
      const large = file.size > Number(form.dataset.most);
      about.textContent = large ? form.dataset.tooLarge : size(file.size);
      button.disabled = large;
    };
    input.addEventListener("change", chosen);
    for (const kind of ["dragenter", "dragover"]) drop.addEventListener(kind, event => { event.preventDefault(); drop.classList.add("over"); });
    for (const kind of ["dragleave", "drop"]) drop.addEventListener(kind, event => { event.preventDefault(); drop.classList.remove("over"); });
    drop.addEventListener("drop", event => { if (event.dataTransfer.files.length) { input.files = event.dataTransfer.files; chosen(); } });
    form.addEventListener("submit", () => { button.disabled = true; button.textContent = form.dataset.busy; });
    addEventListener("pageshow", chosen);
  }
  const confirming = document.querySelector("form[data-people]");
  if (confirming) {
    const typed = confirming.querySelector("[name=confirmacao]"), button = confirming.querySelector("[data-go-on]"), short = button.disabled;
    const look = () => { button.disabled = short || typed.value.replace(/\D/g, "") !== confirming.dataset.people; };
    typed.addEventListener("input", look);
    look();
  }
  document.querySelector("[data-schedule]")?.addEventListener("input", () => { document.querySelector("[name=quando][value=agendar]").checked = true; });
  addEventListener("click", event => {
    const chip = event.target.closest("[data-insert]");
    const text = document.getElementById("msg");
    if (!chip || !text) return;
    text.setRangeText(chip.dataset.insert, text.selectionStart, text.selectionEnd, "end");
    text.dispatchEvent(new Event("input", { bubbles: true }));
    text.focus();
  });
});
