import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { type AddressInfo, isIPv6 } from 'node:net';

const TYPES = { A: 1, AAAA: 28, SRV: 33 } as const;
const RCODES = { ok: 0, SERVFAIL: 2, NXDOMAIN: 3 } as const;

/** Key: `A emqx.test`. An address, or `priority weight port target` of SRV, each; a name without any is NXDOMAIN. */
export type Zone = Record<string, readonly string[]>;

/** A DNS server over UDP (RFC 1035): queries of one question, answers without compression but for the asked name. */
export async function startDnsServer(zone: Zone, { host = '127.0.0.1', port = 0 } = {}) {
  const socket = createSocket('udp4');
  const server = {
    zone,
    /** `silent` does not answer at all. */
    mood: 'well' as 'well' | 'failing' | 'silent',
    /** Questions of this type are not answered. */
    ignored: undefined as keyof typeof TYPES | undefined,
    questions: 0,
    address: '',
    stop: () => new Promise<void>((resolve) => socket.close(resolve)),
  };
  socket.on('message', (query, from) => {
    server.questions += 1;
    const isIgnored = server.mood === 'silent' || questionOf(query).type === server.ignored;
    if (!isIgnored)
      socket.send(answer(query, server.zone, server.mood === 'failing'), from.port, from.address);
  });
  socket.bind(port, host);
  await once(socket, 'listening');
  server.address = `${host}:${(socket.address() as AddressInfo).port}`;
  return server;
}

function answer(query: Buffer, zone: Zone, failing: boolean): Buffer {
  const { name, type, end } = questionOf(query);
  const records = failing ? [] : (zone[`${type} ${name}`] ?? []);
  const known = Object.keys(zone).some((key) => key.endsWith(` ${name}`));
  const rcode = failing ? RCODES.SERVFAIL : known ? RCODES.ok : RCODES.NXDOMAIN;
  const header = Buffer.alloc(12);
  query.copy(header, 0, 0, 2);
  header.writeUInt16BE(0x8580 | rcode, 2); // response, authoritative, recursion desired and available
  header.writeUInt16BE(1, 4);
  header.writeUInt16BE(records.length, 6);
  return Buffer.concat([header, query.subarray(12, end), ...records.map((text) => record(type, text))]);
}

function questionOf(query: Buffer) {
  const labels: string[] = [];
  let at = 12;
  for (let length = query.readUInt8(at); length > 0; length = query.readUInt8(at)) {
    labels.push(query.toString('latin1', at + 1, at + 1 + length));
    at += 1 + length;
  }
  const number = query.readUInt16BE(at + 1);
  const type = Object.entries(TYPES).find(([, value]) => value === number)?.[0] ?? `${number}`;
  return { name: labels.join('.').toLowerCase(), type, end: at + 5 };
}

function record(type: string, text: string): Buffer {
  const data = type === 'SRV' ? srv(text) : address(text);
  const head = Buffer.alloc(12);
  head.writeUInt16BE(0xc00c, 0); // the name: that of the question
  head.writeUInt16BE(TYPES[type as keyof typeof TYPES], 2);
  head.writeUInt16BE(1, 4); // class IN; the TTL stays 0
  head.writeUInt16BE(data.length, 10);
  return Buffer.concat([head, data]);
}

function srv(text: string): Buffer {
  const [priority, weight, port, target = ''] = text.split(' ');
  const numbers = Buffer.alloc(6);
  [priority, weight, port].forEach((value, index) => {
    numbers.writeUInt16BE(Number(value), index * 2);
  });
  const labels = target.split('.').filter((label) => label !== '');
  return Buffer.concat([
    numbers,
    ...labels.map((label) => Buffer.from([label.length, ...Buffer.from(label)])),
    Buffer.from([0]),
  ]);
}

/** IPv6 is written out in full, without `::`. */
function address(text: string): Buffer {
  if (!isIPv6(text)) return Buffer.from(text.split('.').map(Number));
  return Buffer.from(
    text
      .split(':')
      .map((part) => part.padStart(4, '0'))
      .join(''),
    'hex',
  );
}
