/* Reads {mode, text} objects, a line each, and writes what the pages' counter says of them. */
require("../../src/pombo/panel/assets/counter.js");
const lines = require("node:fs").readFileSync(0, "utf8").split("\n").filter(Boolean);
for (const line of lines) {
  const { mode, text } = JSON.parse(line);
  console.log(JSON.stringify({ ...pomboCounter.count(text, mode), odd: pomboCounter.odd(text), stubborn: pomboCounter.stubborn(text), variables: pomboCounter.variables(text) }));
}
