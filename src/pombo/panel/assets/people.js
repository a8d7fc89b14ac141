/* Conversations and templates: the counter while somebody answers, the end of a talk in sight, a template into a field. */
document.addEventListener("alpine:init", () => {
  Alpine.data("reply", () => ({
    text: "",
    init() { this.count(); },
    count() { this.text = this.$refs.text.value; },
    get now() { return pomboCounter.count(this.text, this.$root.dataset.mode); },
    get missing() { return pomboCounter.variables(this.text).join(", "); },
    get blank() { return !this.text.trim(); },
    get kind() { return this.now.ucs2 ? "UCS-2" : "GSM-7"; },
    get kindTag() { return this.now.ucs2 ? "tag warn" : "tag ok"; },
    get used() { return this.now.units + " / " + this.now.room * this.now.parts; },
    get parts() {
      const { one, many, price } = this.$root.dataset, n = this.now.parts, said = n === 1 ? one : many.replace("#", n);
      if (!price) return said;
      const cost = (n * price / 1000).toLocaleString(document.documentElement.lang, { style: "currency", currency: "BRL", maximumFractionDigits: 3 });
      return said + " · " + cost;
    },
  }));
});

addEventListener("click", e => {
  const pick = e.target.closest?.("[data-template]");
  const field = pick && document.getElementById(pick.dataset.into);
  if (!field) return;
  field.value = pick.dataset.template;
  field.dispatchEvent(new Event("input", { bubbles: true }));
  field.focus();
});

/* Whoever reads the end of a talk goes on reading it there; whoever has scrolled up is left alone. */
{
  const chat = document.getElementById("chat");
  if (chat) {
    let atEnd = true;
    const end = () => { chat.scrollTop = chat.scrollHeight; };
    end();
    document.fonts.ready.then(() => { if (atEnd) end(); });
    chat.addEventListener("scroll", () => { atEnd = chat.scrollHeight - chat.scrollTop - chat.clientHeight < 60; }, { passive: true });
    document.body.addEventListener("people:answered", () => { atEnd = true; });
    let before = 0;
    chat.addEventListener("htmx:beforeSwap", e => { before = e.target.id === "newest" ? 0 : chat.scrollHeight - chat.scrollTop; });
    document.body.addEventListener("htmx:afterSwap", () => {
      if (before) { chat.scrollTop = chat.scrollHeight - before; before = 0; } else if (atEnd) end();
    });
  }
}
