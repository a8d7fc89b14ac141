// An operator for the story tests, on the npm package `smpp`: another project's reading of SMPP 3.4 than ours.
//
//     node smsc.js PORT SYSTEM_ID PASSWORD [PEM]  (PORT 0 takes a free one; PEM: key and certificate, to speak TLS)
//
// Commands come as JSON lines on stdin ({"do": …}, see `commands`), events leave as JSON lines on stdout. Octets are hex.
//
// What a submit gets is its behaviour: {status, response, response_ms, drop, id, receipts}
//   status       command_status of the response (0)
//   response     "now" (default), "never", or "held" until the command `release`
//   response_ms  how long the response takes (0)
//   drop         "before" or "after" the response: the connection ends there
//   id           "dec" (default), "hex", "padded", "uuid", "upper": how the response writes the id
//   receipts     [{stat, err, form, before, after_ms, times, tlv, id, intermediate}], sent in this order
// A destination's behaviours (command `for`) are used up one per submit, then the default one counts again.

'use strict';

const fs = require('fs');
const readline = require('readline');
const smpp = require('smpp');

// Texts are octets here: what they mean is for the tests to say.
smpp.filters.message.decode = (value) => value;

const [port, systemId] = [Number(process.argv[2]), process.argv[3]];
let password = process.argv[4];
const pem = process.argv[5] && fs.readFileSync(process.argv[5]);

const STATES = { ENROUTE: 1, DELIVRD: 2, EXPIRED: 3, DELETED: 4, UNDELIV: 5, ACCEPTD: 6, UNKNOWN: 7, REJECTD: 8 };
const RECEIPT = 0x04;
const INTERMEDIATE = 0x20;

let nextId = 0x10000000;
let throttle = 0;
let standard = { receipts: [{ stat: 'DELIVRD' }] };
const planned = new Map(); // destination -> behaviours still to be used
const held = []; // responses that wait for `release`
const bound = new Set();

// Where deliver_sm goes: transmitters take none.
const receiver = () => [...bound].find((session) => session.command !== 'bind_transmitter');

function tell(event, facts) {
  process.stdout.write(JSON.stringify({ event, ...facts }) + '\n');
}

// How the same number stands in a PDU, given its form.
function written(number, form) {
  const hex = number.toString(16);
  switch (form) {
    case 'hex': return hex;
    case 'upper': return hex.toUpperCase();
    case 'padded': return String(number).padStart(20, '0');
    case 'uuid': return `${hex.padStart(8, '0')}-9f0e-4a5b-8c7d-0123456789ab`;
    case 'uuid-upper': return written(number, 'uuid').toUpperCase();
    default: return String(number);
  }
}

function deliver(session, body, tag) {
  const sent = session.deliver_sm(body, (response) => {
    tell('deliver_resp', { tag, status: response.command_status, sequence: response.sequence_number });
  });
  tell('deliver', { tag, sent });
}

function sendReceipt(from, to, number, receipt) {
  const session = receiver();
  if (!session) return tell('receipt_lost', { number });
  const id = receipt.id !== undefined ? receipt.id : written(number, receipt.form);
  const delivered = receipt.stat === 'DELIVRD' ? '001' : '000';
  const text = `id:${id} sub:001 dlvrd:${delivered} submit date:2611221000 done date:2611221001 ` +
    `stat:${receipt.stat} err:${receipt.err || '000'} text:`;
  const body = {
    source_addr: to, dest_addr_ton: 0, dest_addr_npi: 0, destination_addr: from,
    esm_class: receipt.intermediate ? INTERMEDIATE : RECEIPT,
    short_message: receipt.tlv ? Buffer.alloc(0) : Buffer.from(text, 'latin1'),
  };
  if (receipt.tlv) Object.assign(body, { receipted_message_id: id, message_state: STATES[receipt.stat] });
  for (let time = 0; time < (receipt.times || 1); time += 1) deliver(session, body, `receipt ${id}`);
}

function answer(session, pdu, behaviour, number) {
  const respond = () => {
    const status = behaviour.status || 0;
    const id = status ? undefined : written(number, behaviour.id);
    session.send(pdu.response({ command_status: status, message_id: id }));
    if (behaviour.drop === 'after') session.socket.destroySoon();
    if (!status) sendReceipts(pdu, behaviour, number, false);
  };
  if (behaviour.response === 'never') return;
  if (behaviour.response === 'held') held.push(respond);
  else if (behaviour.response_ms) setTimeout(respond, behaviour.response_ms);
  else respond();
}

function sendReceipts(pdu, behaviour, number, before) {
  for (const receipt of behaviour.receipts || []) {
    if (Boolean(receipt.before) !== before) continue;
    const send = () => sendReceipt(pdu.source_addr, pdu.destination_addr, number, receipt);
    if (receipt.after_ms) setTimeout(send, receipt.after_ms);
    else send();
  }
}

function behaviourFor(destination) {
  const own = planned.get(destination);
  if (own && own.length) return own.shift();
  if (throttle > 0) {
    throttle -= 1;
    return { status: smpp.ESME_RTHROTTLED };
  }
  return standard;
}

function take(session, pdu) {
  const number = nextId;
  nextId += 1;
  const behaviour = behaviourFor(pdu.destination_addr);
  tell('submit', {
    over: session.command,
    sequence: pdu.sequence_number, number, source: pdu.source_addr, source_ton: pdu.source_addr_ton,
    source_npi: pdu.source_addr_npi, to: pdu.destination_addr, dest_ton: pdu.dest_addr_ton,
    dest_npi: pdu.dest_addr_npi, esm_class: pdu.esm_class, data_coding: pdu.data_coding,
    registered_delivery: pdu.registered_delivery, octets: Buffer.from(pdu.short_message).toString('hex'),
    status: behaviour.status || 0, at_ms: performance.now(),
  });
  if (behaviour.drop === 'before') return session.destroy();
  sendReceipts(pdu, behaviour, number, true);
  answer(session, pdu, behaviour, number);
}

const server = smpp.createServer(pem ? { key: pem, cert: pem } : {}, (session) => {
  tell('connected', {});
  session.on('error', (error) => tell('error', { text: String(error.message) }));
  session.on('close', () => {
    bound.delete(session);
    tell('closed', {});
  });
  for (const command of ['bind_transceiver', 'bind_transmitter', 'bind_receiver']) {
    session.on(command, (pdu) => {
      const good = pdu.system_id === systemId && pdu.password === password;
      const status = good ? 0 : smpp.ESME_RINVPASWD;
      session.send(pdu.response({ command_status: status, system_id: 'peer' }));
      session.command = command;
      if (good) bound.add(session);
      tell('bind', { command, status, interface_version: pdu.interface_version });
    });
  }
  session.on('submit_sm', (pdu) => take(session, pdu));
  session.on('enquire_link', (pdu) => session.send(pdu.response()));
  session.on('generic_nack', (pdu) => tell('nack', { status: pdu.command_status, sequence: pdu.sequence_number }));
  session.on('unbind', (pdu) => {
    bound.delete(session);
    tell('unbind', {});
    session.send(pdu.response());
    session.close();
  });
  session.on('unbind_resp', () => {
    tell('unbind_resp', {});
    session.close();
  });
});

const commands = {
  for: ({ to, behaviours }) => planned.set(to, behaviours),
  default: ({ behaviour }) => { standard = behaviour; },
  throttle: ({ count }) => { throttle = count; },
  release: ({ reversed }) => (reversed ? held.splice(0).reverse() : held.splice(0)).forEach((respond) => respond()),
  receipt: ({ from, to, number, receipt }) => sendReceipt(from, to, number, receipt),
  deliver: ({ body, tag }) => {
    const fields = { ...body, short_message: Buffer.from(body.short_message || '', 'hex') };
    if (body.message_payload) fields.message_payload = Buffer.from(body.message_payload, 'hex');
    const session = receiver();
    if (session) deliver(session, fields, tag);
    else tell('deliver', { tag, sent: false });
  },
  raw: ({ octets }) => bound.forEach((session) => session.socket.write(Buffer.from(octets, 'hex'))),
  drop: () => server.sessions.slice().forEach((session) => session.destroy()),
  unbind: () => bound.forEach((session) => session.unbind()),
  password: (command) => { password = command.password; },
  close: () => {
    server.close();
    server.sessions.slice().forEach((session) => session.destroy());
  },
};

readline.createInterface({ input: process.stdin }).on('line', (line) => {
  const command = JSON.parse(line);
  commands[command.do](command);
  tell('done', { command: command.do });
}).on('close', () => process.exit(0));

server.listen(port, '127.0.0.1', () => tell('listening', { port: server.address().port }));
