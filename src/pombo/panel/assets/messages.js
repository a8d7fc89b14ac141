/* Messages that are picked in a list. */
document.addEventListener("alpine:init", () => {
  Alpine.data("picked", () => ({
    count: 0,
    boxes() { return [...this.$root.querySelectorAll("tbody input[type=checkbox]")]; },
    pick() { this.count = this.boxes().filter(box => box.checked).length; },
    pickAll(event) { for (const box of this.boxes()) box.checked = event.target.checked; this.pick(); },
    get some() { return this.count > 0; },
  }));
});

/* A message that goes on living is drawn again around whoever reads: what was opened stays open. */
{
  const opened = () => [...document.querySelectorAll("#message details.raw")];
  let open = [];
  document.body.addEventListener("htmx:beforeSwap", e => { if (e.target.id === "message") open = opened().map(one => one.open); });
  document.body.addEventListener("htmx:afterSwap", () => { opened().forEach((one, n) => { if (open[n]) one.open = true; }); open = []; });
}
