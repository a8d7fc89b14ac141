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
    const below = () => chat.scrollHeight - chat.scrollTop;
    const end = () => { chat.scrollTop = chat.scrollHeight; };
    end();
    const placed = chat.scrollTop;
    document.fonts.ready.then(() => { if (chat.scrollTop === placed) end(); });
    let before = null, answered = false;
    document.body.addEventListener("people:answered", () => { answered = true; });
    document.body.addEventListener("htmx:beforeSwap", e => {
      before = { below: below(), atEnd: below() - chat.clientHeight < 60, older: e.target.matches(".older") };
    });
    document.body.addEventListener("htmx:afterSwap", () => {
      if (before?.older) chat.scrollTop = chat.scrollHeight - before.below;
      else if (before?.atEnd || answered) end();
      before = null;
      answered = false;
    });
  }
}
