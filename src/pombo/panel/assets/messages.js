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
