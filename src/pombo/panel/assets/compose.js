/* The form that a message is written in: what is counted, and what is offered. Prices and refusals come from the server. */
document.addEventListener("alpine:init", () => {
  const { count, odd, stubborn, variables, withoutAccents } = pomboCounter;
  const most = 12;

  Alpine.data("composer", () => ({
    text: "", mode: "ascii", own: "ascii", before: null, partMilli: 0, clock: "",
    init() {
      const told = this.$root.dataset;
      this.own = told.mode;
      this.mode = this.$refs.mode.value || this.own;
      this.partMilli = Number(told.partMilli);
      this.clock = new Date().toLocaleTimeString(document.documentElement.lang, { hour: "2-digit", minute: "2-digit" });
      this.read();
    },
    read() { this.text = this.$refs.text.value.replaceAll("\r\n", "\n"); if (this.before !== null && this.text !== this.plain) this.before = null; },
    /* What the server said a part costs, for the first number that was typed. */
    reprice() { const told = this.$root.querySelector("#check [data-part-milli]"); if (told) this.partMilli = Number(told.dataset.partMilli); },
    get a() { return count(this.text, this.mode); },
    get plain() { return withoutAccents(this.text); },
    get alphabet() { return this.a.ucs2 ? "UCS-2" : "GSM-7"; },
    get alphabetClass() { return this.a.ucs2 ? "warn" : "ok"; },
    get barsClass() { return this.a.ucs2 ? "two" : ""; },
    get used() { const a = this.a, told = this.$root.dataset; return a.parts < 2 ? `${a.units} / ${a.room}` : `${a.units} · ${a.room} ${told.each}`; },
    get bars() { const a = this.a; return a.cut.slice(0, 10).map((used, i) => ({ i, v: used / a.room })); },
    said(n) { const told = this.$root.dataset; return n === 1 ? told.one : told.many.replace("#", n.toLocaleString(document.documentElement.lang)); },
    money(milli) { return (milli / 1000).toLocaleString(document.documentElement.lang, { style: "currency", currency: "BRL", minimumFractionDigits: 2, maximumFractionDigits: 3 }); },
    get parts() { return this.text ? this.said(this.a.parts) : ""; },
    get tooLong() { return this.a.parts > Number(this.$root.dataset.maxParts); },
    get preview() { return this.a.sent || this.$root.dataset.empty; },
    get unfilled() { return variables(this.text).join(", "); },
    /* Where accents cost: characters that GSM lacks, in a message that goes out as UCS-2. */
    get lacking() { return this.a.ucs2 && odd(this.text).length > 0; },
    get hard() { return stubborn(this.text); },
    get plainable() { return this.hard.length === 0; },
    get notPlainable() { return this.hard.length > 0; },
    get marked() { return (this.hard.length ? this.hard : odd(this.text)).slice(0, most).map(this.seen); },
    seen(char) { return /[\p{C}\p{Z}\p{M}]/u.test(char) ? "U+" + char.codePointAt(0).toString(16).toUpperCase().padStart(4, "0") : char; },
    get plainCount() { return count(this.plain, "auto").parts; },
    get plainParts() { return this.said(this.plainCount); },
    get saves() { return this.a.parts > this.plainCount; },
    get saving() { return this.money((this.a.parts - this.plainCount) * this.partMilli); },
    get stripped() { return this.before !== null; },
    strip() { const before = this.text; this.write(this.plain); this.before = before; },
    undo() { const before = this.before; this.before = null; this.write(before); },
    write(text) { this.$refs.text.value = text; this.text = text; this.$refs.text.dispatchEvent(new Event("input", { bubbles: true })); },
    /* In an account that sends without accents. */
    get goesPlain() { return this.own === "ascii" && this.mode === "ascii" && this.a.sent !== this.text; },
    get kept() { return this.own === "ascii" && this.mode !== "ascii"; },
    get accents() { return count(this.text, "auto"); },
    get accentsParts() { return this.said(this.accents.parts); },
    get accentsPrice() { return this.money(this.accents.parts * this.partMilli); },
    keepAccents() { this.choose("auto"); },
    dropAccents() { this.choose(""); },
    choose(mode) { this.$refs.mode.value = mode; this.mode = mode || this.own; this.$root.dispatchEvent(new Event("recheck")); },
  }));

  Alpine.data("codes", () => ({
    choose(event) {
      const chosen = event.currentTarget.dataset.language;
      for (const tab of this.$root.querySelectorAll("[role=tab]")) tab.setAttribute("aria-selected", String(tab.dataset.language === chosen));
      for (const panel of this.$root.querySelectorAll("[role=tabpanel]")) panel.hidden = panel.id !== `code-${chosen}`;
    },
  }));
});
