/* What every page has: toasts, copying, keys, the menu of phones, the theme, dialogues, charts, what comes live. */
const root = document.documentElement;
const csrf = () => document.body.dataset.csrf;
const css = name => getComputedStyle(root).getPropertyValue(name).trim();
const number = n => n.toLocaleString(root.lang);

/* Toasts: news go after some seconds, errors stay until they are dismissed. */
function toast(text, bad = false) {
  const box = document.getElementById("toasts"), model = document.getElementById("toast-new");
  if (!box || !model || (bad && box.lastElementChild?.textContent.trim() === text)) return;
  const one = model.content.firstElementChild.cloneNode(true);
  one.querySelector("span").textContent = text;
  if (bad) {
    one.classList.add("is-bad");
    one.setAttribute("role", "alert");
    const use = one.querySelector("use");
    use.setAttribute("href", use.getAttribute("href").replace(/#.*/, "#alert-circle"));
  }
  box.append(one);
  leave(one);
}
function leave(one) { if (!one.classList.contains("is-bad")) setTimeout(() => one.remove(), 6000); }
document.querySelectorAll("#toasts > *").forEach(leave);
document.body.addEventListener("toast", e => toast(e.detail.text, e.detail.bad));
document.body.addEventListener("htmx:sendError", () => toast(root.lang === "en" ? "No connection. Try again." : "Sem conexão. Tente de novo.", true));

/* Clicks: [data-copy] copies its value, or the text of what it names with #id; the others open, close and switch. */
async function copy(button) {
  const named = button.dataset.copy, text = named.startsWith("#") ? document.querySelector(named).innerText : named;
  try { await navigator.clipboard.writeText(text); } catch { return; }
  const word = root.lang === "en" ? "Copied" : "Copiado", label = button.querySelector("[data-label]");
  if (button.dataset.copying) return;
  button.dataset.copying = "1";
  const before = label ? label.textContent : button.getAttribute("aria-label");
  if (label) label.textContent = word; else { button.setAttribute("aria-label", word); button.classList.add("ok"); }
  setTimeout(() => {
    delete button.dataset.copying;
    if (label) label.textContent = before; else { button.setAttribute("aria-label", before); button.classList.remove("ok"); }
  }, 1400);
  button.dispatchEvent(new CustomEvent("copied", { bubbles: true }));
}
addEventListener("click", e => {
  const hit = name => e.target.closest?.(`[${name}]`);
  const at = hit("data-copy");
  if (at) copy(at);
  if (hit("data-dismiss")) hit("data-dismiss").closest(".toast-p").remove();
  if (hit("data-theme-toggle")) turnTheme();
  if (hit("data-keys")) showKeys();
  if (hit("data-dialog")) document.getElementById(hit("data-dialog").dataset.dialog).showModal();
  if (hit("data-close")) hit("data-close").closest("dialog").close();
  if (hit("data-menu")) menu(!document.body.classList.contains("menu-open"));
  else if (!e.target.closest?.("#side")) menu(false);
  for (const open of document.querySelectorAll("details.menu[open]")) if (!open.contains(e.target) || e.target.closest("a,button")) open.open = false;
});
function menu(open) {
  document.body.classList.toggle("menu-open", open);
  document.querySelector("[data-menu]")?.setAttribute("aria-expanded", String(open));
}
function showKeys() { const sheet = document.getElementById("keys"); if (sheet && !sheet.open) sheet.showModal(); }

/* A word that must be typed before a dialogue's button works. */
addEventListener("input", e => {
  const form = e.target.closest?.("form[data-word]");
  if (form) form.querySelector("button.btn-primary, button.btn-bad").disabled = e.target.value.trim() !== form.dataset.word;
});

/* The theme: at once here, and kept with the person. */
function turnTheme() {
  const theme = root.dataset.bsTheme === "dark" ? "light" : "dark";
  root.dataset.theme = root.dataset.bsTheme = theme;
  draw();
  fetch("/perfil/tema", { method: "POST", headers: { "X-CSRF-Token": csrf() }, body: new URLSearchParams({ tema: theme }) });
}

/* Keys, none of them while somebody types. */
let going = 0;
addEventListener("keydown", e => {
  if (e.key === "Escape") { menu(false); document.querySelectorAll("details.menu[open]").forEach(d => { d.open = false; }); }
  if (e.ctrlKey && e.key === "Enter") { e.target.closest?.("form")?.requestSubmit(); return; }
  if (e.target.matches?.("input:not([type=checkbox],[type=radio]),textarea,select,[contenteditable]") || e.ctrlKey || e.metaKey || e.altKey || document.querySelector("dialog[open]")) return;
  if (Date.now() - going < 1500) {
    going = 0;
    const way = document.querySelector(`[data-go="${CSS.escape(e.key)}"]`);
    if (way) { e.preventDefault(); location.assign(way.href); }
    return;
  }
  if (e.key === "g") going = Date.now();
  else if (e.key === "/") { const q = document.getElementById("q"); if (q) { e.preventDefault(); q.focus(); } }
  else if (e.key === "n") { e.preventDefault(); const m = document.getElementById("msg"); if (m) m.focus(); else document.querySelector('[data-go="s"]')?.click(); }
  else if (e.key === "?") { e.preventDefault(); showKeys(); }
  else if (e.key === "j" || e.key === "k") step(e.key === "j" ? 1 : -1);
});
/* j and k go through the links of a list that has data-list. */
function step(way) {
  const rows = [...document.querySelectorAll("[data-list] a.to, [data-list] .conv")];
  if (!rows.length) return;
  const at = rows.indexOf(document.activeElement), next = at < 0 ? (way > 0 ? 0 : rows.length - 1) : at + way;
  rows[Math.max(0, Math.min(rows.length - 1, next))].focus();
}
/* A list that is drawn anew, because something came live, leaves whoever goes through it on the row where they were. */
let row = null;
document.body.addEventListener("htmx:beforeSwap", () => { row = document.activeElement?.closest("[data-list]") ? document.activeElement.getAttribute("href") : null; });
document.body.addEventListener("htmx:afterSwap", () => {
  if (row && document.activeElement === document.body) document.querySelector(`[data-list] a[href="${CSS.escape(row)}"]`)?.focus({ preventScroll: true });
});

/* A link that lets in once, in a browser: looking at it is asking for it. */
document.querySelector("form[data-at-once]")?.requestSubmit();

document.addEventListener("alpine:init", () => {
  Alpine.data("secret", () => ({ shown: false, flip() { this.shown = !this.shown; }, get kind() { return this.shown ? "text" : "password"; } }));
});

/* Charts: <div data-chart="bars|lines" id=x> and <script type="application/json" id=x-data>{x,l,every,h,step,series:[{n,c,v}]}</script> */
const charts = {};
function draw() {
  if (typeof uPlot === "undefined") return;
  for (const el of document.querySelectorAll("[data-chart]")) if (el.clientWidth) plot(el);
}
function plot(el) {
  const before = charts[el.id]?.u, at = { ...before?.cursor };
  before?.destroy();
  el.replaceChildren();
  const D = JSON.parse(document.getElementById(el.id + "-data").textContent), bars = el.dataset.chart === "bars", xs = D.x, sums = [];
  if (bars) { let sum = xs.map(() => 0); for (const s of D.series) { sum = sum.map((v, i) => v + s.v[i]); sums.push(sum); } }
  const shape = uPlot.paths.bars({ size: [.62, 22], radius: .22 }), tip = document.createElement("div");
  tip.className = "tip";
  tip.hidden = true;
  const label = i => D.l ? D.l[i] : xs[i] + "h–" + (xs[i] + 1) + "h";
  const series = D.series.map(s => bars ? { fill: css(s.c), stroke: css(s.c), width: 0, paths: shape, points: { show: false } } : { stroke: css(s.c), width: 1.75, points: { show: false }, fill: s.fill ? css(s.c) + "1f" : undefined });
  const data = bars ? [xs, ...sums.slice().reverse()] : [xs, ...D.series.map(s => s.v)];
  if (bars) series.reverse();
  const most = Math.max(1, ...(bars ? sums.at(-1) ?? [1] : D.series.flatMap(s => s.v))), step = D.step || niceStep(most);
  const axis = { stroke: css("--muted"), font: "12px Inter Variable", ticks: { show: false } };
  const u = new uPlot({
    width: el.clientWidth - 2 * parseFloat(getComputedStyle(el).paddingLeft), height: D.h || 280, padding: [10, bars ? 6 : 20, 0, 0],
    cursor: { y: false, points: { show: false }, drag: { x: false } },
    scales: { x: { time: false, range: (_, a, b) => bars ? [a - .6, b + .6] : [a, b] }, y: { range: (_, a, b) => [0, Math.max(step, Math.ceil(b / step) * step)] } },
    axes: [{ ...axis, grid: { show: false }, splits: () => xs, values: (_, v) => v.map((x, i) => i % (D.every || 2) ? "" : D.l ? D.l[i] : x + "h"), gap: 6, size: 28 },
      { ...axis, grid: { stroke: css("--grid"), width: 1 }, size: 46, space: D.h < 180 ? 26 : 34, incrs: [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10000, 20000, 50000, 100000, 200000, 500000, 1000000], values: (_, v) => v.map(thousands) }],
    series: [{}, ...series],
    hooks: {
      setCursor: [u => {
        const i = u.cursor.idx;
        tip.hidden = i == null || u.cursor.left < 0;
        if (tip.hidden) return;
        const head = document.createElement("b");
        head.textContent = label(i);
        tip.replaceChildren(head, ...D.series.map(s => { const line = document.createElement("div"); line.textContent = s.n + ": " + number(s.v[i]); return line; }));
        const x = u.valToPos(xs[i], "x");
        tip.style.left = (x > u.over.clientWidth - 150 ? x - 140 : x + 16) + "px";
        tip.style.top = "8px";
      }],
      ready: [u => u.over.append(tip)],
    },
  }, data, el);
  charts[el.id] = { u, D };
  if (at.left >= 0) u.setCursor({ left: at.left, top: at.top }); /* new figures under a pointer that rests */
}
function niceStep(most) { const p = 10 ** Math.floor(Math.log10(most / 4 || 1)); return Math.max(1, [1, 2, 5, 10].map(m => m * p).find(s => most / s <= 6)); }
function thousands(n) { return n >= 1000 ? (n / 1000).toLocaleString(root.lang) + (root.lang === "en" ? "k" : " mil") : n; }
/* Once all scripts have run: that of the charts may come after this one. */
addEventListener("DOMContentLoaded", () => document.fonts.load("12px 'Inter Variable'").finally(draw));
let later;
addEventListener("resize", () => { clearTimeout(later); later = setTimeout(draw, 120); });
document.body.addEventListener("htmx:afterSettle", draw);

/* What comes live: a stream while the tab is looked at. Each kind becomes the event `sse:KIND` on the body, once for each version. */
let stream = null;
const versions = {};
function listen() {
  const wanted = document.body.hasAttribute("data-live") && !document.hidden;
  if (!wanted) { stream?.close(); stream = null; return; }
  if (stream && stream.readyState !== EventSource.CLOSED) return;
  stream = new EventSource("/eventos");
  for (const kind of ["messages", "callbacks", "replies", "unread", "campaigns", "balance", "notices", "handset"]) stream.addEventListener(kind, e => news(kind, JSON.parse(e.data)));
  stream.addEventListener("ended", () => location.reload());
}
function news(kind, { version, value }) {
  if (versions[kind] === version) return;
  versions[kind] = version;
  if (kind === "unread") for (const el of document.querySelectorAll('[data-count="unread"]')) { el.hidden = !value; el.textContent = value > 99 ? "99+" : value; }
  if (kind === "balance") for (const el of document.querySelectorAll("[data-balance]")) el.textContent = money(value);
  document.body.dispatchEvent(new CustomEvent("sse:" + kind, { detail: { value } }));
}
function money(milli) {
  return (milli < 0 ? "-" : "") + "R$\u00a0" + (Math.abs(milli) / 1000).toLocaleString(root.lang, { minimumFractionDigits: 2, maximumFractionDigits: 3 });
}
document.addEventListener("visibilitychange", listen);
addEventListener("pagehide", () => { stream?.close(); stream = null; });
addEventListener("pageshow", listen);
