// The virtual handset. Texts of messages are hostile: they only ever pass through textContent.
'use strict';

const base = new URL('.', document.currentScript.src).href;
const byId = (id) => document.getElementById(id);
const SVG = 'http://www.w3.org/2000/svg';
const ICONS = {
  enviada: 'm5 12 5 5L19 7',
  entregue: 'm2 12 5 5 9-10M11 16l1 1 9-10',
  falhou: 'M12 7v6M12 17v.01M12 3a9 9 0 1 0 0 18 9 9 0 0 0 0-18',
  chat: 'M4 5h16v11H9l-5 4z',
};
const REASONS = {
  UNDELIV: 'não entregue', EXPIRED: 'expirou', REJECTD: 'recusada pela operadora', DELETED: 'cancelada', UNKNOWN: 'motivo desconhecido',
};
const NUMBERS_SHOWN = 200;
const BUBBLES_SHOWN = 200;
const MAGIC = { '900000001': 'sempre entrega', '900000002': 'sempre falha', '900000003': 'expira', '900000004': 'fica em silêncio' };

const latest = new Map(); // number -> its newest bubble
const unread = new Map(); // number -> how many came while another one was open
let bubbles = new Map(); // of the open number: id -> bubble, oldest first
const drawn = new Map(); // their nodes
let open = location.hash.slice(1);
let following = !open; // until somebody picks a number, the newest message decides
let source = null;
let tries = 0; // of loading; only the last answer counts
let since = []; // what the stream said since the last loading began: its answer may be older
let newest = 0; // `ordem` of the newest bubble that the stream told of: what is above it is news

const numberOf = (bubble) => (bubble.direcao === 'mt' ? bubble.para : bubble.de);
const clock = (at) => new Date(at).toLocaleTimeString('pt-BR', { hour: '2-digit', minute: '2-digit' });

function pretty(number) {
  const found = /^55(\d\d)(\d{4,5})(\d{4})$/.exec(number);
  return found ? `(${found[1]}) ${found[2]}-${found[3]}` : number;
}

function dayOf(at) {
  const day = new Date(at);
  const today = new Date();
  if (day.toDateString() === today.toDateString()) return 'Hoje';
  today.setDate(today.getDate() - 1);
  return day.toDateString() === today.toDateString() ? 'Ontem' : day.toLocaleDateString('pt-BR');
}

function element(name, className, text) {
  const made = document.createElement(name);
  if (className) made.className = className;
  if (text !== undefined) made.textContent = text;
  return made;
}

function icon(name) {
  const svg = document.createElementNS(SVG, 'svg');
  svg.setAttribute('viewBox', '0 0 24 24');
  svg.setAttribute('aria-hidden', 'true');
  svg.appendChild(document.createElementNS(SVG, 'path')).setAttribute('d', ICONS[name]);
  return svg;
}

// The numbers

function drawNumbers() {
  const newestFirst = [...latest].sort((a, b) => b[1].quando.localeCompare(a[1].quando));
  const focused = document.activeElement.dataset.numero;
  const items = newestFirst.slice(0, NUMBERS_SHOWN).map(([number, bubble]) => numberItem(number, bubble));
  byId('numeros').replaceChildren(...items);
  if (focused) items.find((item) => item.firstChild.dataset.numero === focused)?.firstChild.focus({ preventScroll: true });
  byId('quantos').textContent = latest.size || '';
  byId('sem-numeros').hidden = latest.size > 0;
}

// Moves the list and nothing else: the page stays where the reader has it.
function showPicked() {
  const picked = document.querySelector('#numeros [aria-current]');
  if (!picked) return;
  const list = byId('numeros').getBoundingClientRect();
  const item = picked.getBoundingClientRect();
  byId('numeros').scrollBy(
    Math.min(0, item.left - list.left - 12) || Math.max(0, item.right - list.right + 12),
    Math.min(0, item.top - list.top) || Math.max(0, item.bottom - list.bottom),
  );
}

function numberItem(number, bubble) {
  const button = element('button');
  button.type = 'button';
  button.dataset.numero = number;
  if (number === open) button.setAttribute('aria-current', 'true');
  button.append(element('b', 'num', pretty(number)), element('time', 'num', clock(bubble.quando)));
  button.append(element('span', 'last', (bubble.direcao === 'mo' ? 'Você: ' : '') + bubble.texto.slice(0, 200)));
  const missed = unread.get(number);
  if (missed) {
    const count = element('span', 'count', missed);
    count.setAttribute('aria-label', `${missed} não lidas`);
    button.append(count);
  }
  const item = element('li');
  item.append(button);
  return item;
}

function pick(number) {
  open = number;
  bubbles = new Map();
  drawn.clear();
  unread.delete(number);
  history.replaceState(null, '', '#' + number);
  drawNumbers();
  showPicked();
  drawThread();
  notice('');
  load();
}

// The conversation

function statusOf(bubble) {
  const status = element('span', bubble.estado);
  const reason = REASONS[bubble.codigo] || '';
  let words = bubble.estado;
  if (bubble.codigo) words += reason ? ` · ${reason} (${bubble.codigo})` : ` · ${bubble.codigo}`;
  status.append(icon(bubble.estado), words);
  return status;
}

// One pair of nodes for each bubble, kept as long as it is shown: only what changes is touched (and read aloud).
function bubbleNodes(bubble) {
  let nodes = drawn.get(bubble.id);
  if (!nodes) {
    nodes = { text: element('div', 'bubble fresh ' + bubble.direcao), meta: element('div', 'meta num ' + bubble.direcao) };
    nodes.text.dir = 'auto';
    nodes.text.dataset.id = bubble.id;
    drawn.set(bubble.id, nodes);
  }
  if (nodes.text.textContent !== bubble.texto) nodes.text.textContent = bubble.texto;
  const seen = bubble.estado + bubble.codigo;
  if (nodes.seen !== seen) {
    nodes.seen = seen;
    const parts = bubble.partes > 1 ? ` · ${bubble.partes} partes` : '';
    nodes.meta.replaceChildren(`${clock(bubble.quando)}${parts} ·`, statusOf(bubble));
  }
  return [nodes.text, nodes.meta];
}

function emptyNode() {
  const empty = element('div', 'empty');
  const known = open && !latest.has(open);
  empty.append(icon('chat'), element('span', '', known
    ? `Nada chegou a ${pretty(open)} ainda: envie a ele com a linha de curl desta página.`
    : 'Envie a linha de curl desta página em um terminal, e a mensagem aparece aqui.'));
  return empty;
}

function dayNode(key, words) {
  if (!drawn.has(key)) drawn.set(key, element('div', 'day num', words));
  return drawn.get(key);
}

function threadNodes() {
  const nodes = [];
  let day = '';
  let code = '';
  for (const bubble of bubbles.values()) {
    const other = bubble.direcao === 'mt' ? bubble.de : bubble.para;
    const head = dayOf(bubble.quando);
    if (head !== day || other !== code) nodes.push(dayNode('day ' + bubble.id, head === day ? other : `${head} · ${other}`));
    [day, code] = [head, other];
    nodes.push(...bubbleNodes(bubble));
  }
  byId('remetente').textContent = code || 'Mensagens';
  return nodes.length ? nodes : [emptyNode()];
}

function drawThread() {
  const thread = byId('conversa');
  const atEnd = thread.scrollHeight - thread.scrollTop - thread.clientHeight < 80;
  const nodes = threadNodes();
  nodes.forEach((node, at) => {
    if (thread.childNodes[at] !== node) thread.insertBefore(node, thread.childNodes[at] || null);
  });
  while (thread.childNodes.length > nodes.length) thread.lastChild.remove();
  if (atEnd) thread.scrollTop = thread.scrollHeight;
  const magic = MAGIC[open.slice(-9)];
  byId('legenda').textContent = open ? pretty(open) + (magic ? ` · ${magic}` : '') : '';
  for (const control of document.querySelectorAll('#rapidas button, #resposta > *')) control.disabled = !bubbles.size;
}

function notice(words) {
  byId('aviso').textContent = words;
  byId('aviso').hidden = !words;
}

async function reply(text) {
  if (!text.trim() || !bubbles.size) return false;
  following = false;
  notice('');
  try {
    const answer = await fetch(base + 'responder', {
      method: 'POST',
      headers: { 'Content-Type': 'application/json' },
      body: JSON.stringify({ number: open, text }),
    });
    if (answer.ok) return true;
    const body = await answer.json().catch(() => ({}));
    notice(`A resposta não saiu: ${body.erro || 'erro ' + answer.status}.`);
  } catch {
    notice('A resposta não saiu: sem ligação com o simulador.');
  }
  return false;
}

// What the server says

async function load() {
  const mine = ++tries;
  const wanted = open;
  since = [];
  let body;
  try {
    const answer = await fetch(`${base}mensagens?numero=${encodeURIComponent(wanted)}`);
    if (!answer.ok) return;
    body = await answer.json();
  } catch {
    return; // the stream comes back, and with it `pronto`
  }
  if (mine !== tries || wanted !== open) return;
  latest.clear();
  for (const { numero, ultima } of body.numeros) latest.set(numero, ultima);
  if (following && body.numeros.length && open !== body.numeros[0].numero) {
    pick(body.numeros[0].numero);
    return;
  }
  bubbles = new Map(body.mensagens.map((bubble) => [bubble.id, bubble]));
  take(since);
  showPicked();
  byId('conversa').scrollTop = byId('conversa').scrollHeight;
}

function take(changed) {
  for (const bubble of changed.sort((a, b) => a.ordem - b.ordem)) {
    const number = numberOf(bubble);
    const before = latest.get(number);
    const isNew = bubble.ordem > newest;
    if (isNew) newest = bubble.ordem;
    if (!before || bubble.ordem >= before.ordem) latest.set(number, bubble);
    if (isNew && following && number !== open) {
      pick(number);
    } else if (number === open) {
      bubbles.set(bubble.id, bubble);
    } else if (isNew && bubble.direcao === 'mt') {
      unread.set(number, (unread.get(number) || 0) + 1);
    }
  }
  for (const id of [...bubbles.keys()].slice(0, -BUBBLES_SHOWN)) {
    bubbles.delete(id);
    drawn.delete(id);
    drawn.delete('day ' + id);
  }
  drawNumbers();
  drawThread();
}

function listen() {
  if (source || document.hidden) return;
  source = new EventSource(base + 'ao-vivo');
  source.addEventListener('pronto', (event) => {
    newest = JSON.parse(event.data).ordem;
    byId('ligacao').textContent = 'simulador ligado';
    byId('ligacao').classList.remove('wait');
    load();
  });
  source.addEventListener('mensagens', (event) => {
    const changed = JSON.parse(event.data);
    since.push(...changed);
    take(changed);
  });
  source.addEventListener('error', () => {
    byId('ligacao').textContent = 'reconectando…';
    byId('ligacao').classList.add('wait');
    if (source && source.readyState === EventSource.CLOSED) {
      source = null;
      setTimeout(listen, 2000);
    }
  });
}

document.addEventListener('visibilitychange', () => {
  if (!document.hidden) {
    listen();
  } else if (source) {
    source.close();
    source = null;
  }
});

byId('numeros').addEventListener('click', (event) => {
  const button = event.target.closest('button');
  if (!button) return;
  following = false;
  pick(button.dataset.numero);
});

byId('busca').addEventListener('submit', (event) => {
  event.preventDefault();
  const typed = byId('procura').value;
  let digits = typed.replace(/\D/g, '').replace(/^0+/, '');
  if (digits.length === 10 || digits.length === 11) digits = '55' + digits;
  if (!digits) return;
  const ending = [...latest.keys()].find((number) => number.endsWith(digits));
  following = false;
  byId('procura').value = '';
  pick(ending || digits);
});

byId('rapidas').addEventListener('click', (event) => {
  if (event.target.closest('button')) reply(event.target.closest('button').textContent);
});

byId('resposta').addEventListener('submit', async (event) => {
  event.preventDefault();
  const field = byId('texto');
  const text = field.value;
  field.value = '';
  if (!(await reply(text)) && !field.value) field.value = text;
});

byId('copiar').addEventListener('click', async () => {
  let words = 'Copiado';
  try {
    await navigator.clipboard.writeText(byId('curl').textContent);
  } catch {
    getSelection().selectAllChildren(byId('curl'));
    words = 'Selecionado';
  }
  byId('copiar').textContent = words;
  setTimeout(() => { byId('copiar').textContent = 'Copiar'; }, 2000);
});

if (!byId('curl').textContent) {
  byId('curl').textContent = `curl ${location.origin}/api/unitario.php \\\n  -d token=SEU_TOKEN \\\n  -d destino=11900000001 \\\n  -d msg="Oi, Pombo"`;
}
byId('relogio').textContent = clock(Date.now());
setInterval(() => { byId('relogio').textContent = clock(Date.now()); }, 5000);
drawThread();
listen();
