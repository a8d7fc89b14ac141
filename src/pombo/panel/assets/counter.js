/* What goes out of a text, in which alphabet, and in how many parts: the same rules as src/pombo/text, held to the same
   fixture (tests/text/segments.json) and compared with it on thousands of texts by tests/panel/test_counter.py. */
(() => {
  "use strict";
  const BASIC =
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?" +
    "¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà";
  const SEPTETS = new Map();
  for (const char of BASIC) SEPTETS.set(char, 1);
  for (const char of "\f^{}\\[~]|€") SEPTETS.set(char, 2);

  /* What Unicode's decompositions do not say, or say otherwise than a reader would. */
  const SPELLINGS = new Map(Object.entries({
    "\n": "\n", "\r": "\r", "\f": "\f", "\t": " ", "\v": "\n", "\u0085": "\n", "⁄": "/", "∕": "/", "÷": "/", "·": ".",
    "¸": ",", "¦": "|", "ˆ": "^", "˜": "~", "×": "x", "±": "+-", "°": "o", "¢": "c", "©": "(c)", "®": "(R)", "œ": "oe",
    "Œ": "OE", "ð": "d", "Ð": "D", "đ": "d", "Đ": "D", "ł": "l", "Ł": "L", "ı": "i", "þ": "th", "Þ": "Th",
    "\ufe0f": "\ufe0f", /* asks for the emoji where a character is both */
  }));
  for (const char of "`´‘’‚‛′ʹʻʼˈ‹›") SPELLINGS.set(char, "'");
  for (const char of "¨“”„‟″ʺ«»") SPELLINGS.set(char, '"');
  for (const char of "¯−⁃") SPELLINGS.set(char, "-");
  for (const char of "•∙") SPELLINGS.set(char, "*");

  const NOTHING = /^[\p{Mn}\p{Cf}\p{Cc}]$/u;
  const LINE = /^[\p{Zl}\p{Zp}]$/u;
  const DASH = /^\p{Pd}$/u;
  const SURROGATE = /[\ud800-\udbff](?![\udc00-\udfff])|(?<![\ud800-\udbff])[\udc00-\udfff]/g;
  const MODES = {
    ascii: (text) => withoutAccents(text),
    auto: (text) => text,
    unicode: () => null,
  };

  const known = new Map();
  function plain(char) {
    let found = known.get(char);
    if (found === undefined) {
      found = spelt(char);
      if (known.size < 4096) known.set(char, found);
    }
    return found;
  }
  function spelt(char) {
    if (SPELLINGS.has(char)) return SPELLINGS.get(char);
    if (SEPTETS.has(char) && char.normalize("NFD") === char) return char;
    if (NOTHING.test(char)) return "";
    if (LINE.test(char)) return "\n";
    if (DASH.test(char)) return "-";
    const parts = char.normalize("NFKD");
    return parts === char ? char : Array.from(parts, plain).join("");
  }

  /** The text as the mode `ascii` sends it; what has no plain form stays. */
  function withoutAccents(text) {
    let sent = "";
    for (const char of text) sent += char < "\u0080" && SEPTETS.has(char) ? char : plain(char);
    return sent || text;
  }

  /** How much of each part is used. units: of each character, one or two, which no cut divides. */
  function cut(units, single, part) {
    const total = units.reduce((sum, unit) => sum + unit, 0);
    if (total <= single) return [total];
    const parts = [];
    let used = 0;
    for (const unit of units) {
      if (used + unit > part) {
        parts.push(used);
        used = 0;
      }
      used += unit;
    }
    parts.push(used);
    return parts;
  }

  /** {sent, ucs2, parts, units, cut, room}: room is that of one part. */
  function count(text, mode) {
    const candidate = MODES[mode](text);
    if (candidate !== null) {
      const septets = Array.from(candidate, (char) => SEPTETS.get(char) || 0);
      if (!septets.includes(0)) return counted(candidate, false, septets, 160, 153);
    }
    const sent = text.replace(SURROGATE, "\ufffd");
    return counted(sent, true, Array.from(sent, (char) => char.length), 70, 67);
  }
  function counted(sent, ucs2, units, single, part) {
    const parts = cut(units, single, part);
    const total = units.reduce((sum, unit) => sum + unit, 0);
    return { sent, ucs2, parts: parts.length, units: total, cut: parts, room: parts.length > 1 ? part : single };
  }

  /** The characters of a text that GSM lacks, each once, in order. */
  function odd(text) {
    return [...new Set(Array.from(text).filter((char) => !SEPTETS.has(char)))];
  }

  /** Those of them that have no plain form either: emoji, other scripts. */
  function stubborn(text) {
    return odd(text).filter((char) => Array.from(plain(char)).some((one) => !SEPTETS.has(one)));
  }

  /** The variables that a text still has, as they are written, each once (src/pombo/text/variables.py). */
  function variables(text) {
    return [...new Set(text.match(/\{\s*\p{L}(?:[\p{L}\p{M}\p{N}_ -]{0,38}[\p{L}\p{M}\p{N}_])?\s*\}/gu) || [])];
  }

  globalThis.pomboCounter = { count, odd, stubborn, variables, withoutAccents };
})();
