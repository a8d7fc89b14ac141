/* A call of the API from this page: the browser itself makes it, with the token that stands in the form and nowhere else. */
document.addEventListener("alpine:init", () => {
  Alpine.data("trial", () => ({
    came: false, ok: false, word: "", line: "", text: document.getElementById("answer").textContent,
    get pill() { return this.ok ? "pill ok" : "pill bad"; },
    async run() {
      const form = this.$root, given = new FormData(form), since = performance.now();
      given.delete("caminho");
      const fields = Object.fromEntries([...given].filter(([, value]) => value !== ""));
      let asked = { method: "POST", body: new URLSearchParams(fields) };
      if (form.dataset.kind === "envio") {
        const { token, destino = "", ...rest } = fields, lines = destino.split("\n").map(line => line.trim()).filter(Boolean);
        asked = { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify([{ token, mensagens: lines.map(line => ({ destino: line, ...rest })) }]) };
      }
      let answer;
      try { answer = await fetch(form.dataset.path, asked); this.text = await answer.text(); } catch { this.text = form.dataset.none; }
      this.ok = Boolean(answer) && answer.status === 200 && !/"status":0/.test(this.text);
      this.word = answer ? `HTTP ${answer.status}` : "–";
      this.line = `${Math.round(performance.now() - since).toLocaleString(document.documentElement.lang)} ms`;
      this.came = true;
    },
  }));
});
