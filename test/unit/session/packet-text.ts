import { generate, type IPublishPacket, type ISubscription, type Packet, parser } from 'mqtt-packet';

/**
 * MQTT packets as one line of text each, written and read with mqtt-packet, so that a test reads as a conversation:
 *
 *   CONNECT id=dev clean will=gone      CONNACK present receiveMaximum:1      CONNACK code=135
 *   PUBLISH #7 q1 dup retain a/b=text   PUBACK #7 code=16                     DISCONNECT code=139
 *   SUBSCRIBE #1 a/#:1 b:2+nl+rap+rh2   SUBACK #1 1 128                       UNSUBSCRIBE #2 a/# b
 *
 * `name:value` is a property of MQTT 5. `RAW 82 01 00` stands for bytes that mqtt-packet would not write, or not read.
 */
export type Version = 3 | 4 | 5;

type Fields = Record<string, unknown>;

export function bytesOf(text: string, version: Version): Buffer {
  const [name = '', ...words] = text.trim().split(/\s+/);
  const cmd = name.toLowerCase();
  if (cmd === 'raw') return Buffer.from(words.join(''), 'hex');
  const packet: Fields = { cmd, ...(fields[cmd]?.(words, version) ?? {}) };
  const properties = propertiesOf(words, cmd);
  if (version === 5 && Object.keys(properties).length > 0) packet.properties = properties;
  for (const word of words) if (/^#\d+$/.test(word)) packet.messageId = Number(word.slice(1));
  return generate(packet as unknown as Packet, { protocolVersion: version });
}

const fields: Record<string, (words: string[], version: Version) => Fields> = {
  connect: (words, version) => ({
    protocolId: version === 3 ? 'MQIsdp' : 'MQTT',
    protocolVersion: version,
    bridgeMode: words.includes('bridge'),
    clientId: value(words, 'id') ?? '',
    clean: words.includes('clean'),
    keepalive: Number(value(words, 'keepalive') ?? 0),
    username: value(words, 'user'),
    password: value(words, 'password'),
    will: value(words, 'will') === undefined ? undefined : will(words),
  }),
  connack: (words, version) => ({
    sessionPresent: words.includes('present'),
    [version === 5 ? 'reasonCode' : 'returnCode']: Number(value(words, 'code') ?? 0),
  }),
  publish: (words) => {
    const [, topic = '', payload = ''] =
      /^([^=]*)=(.*)$/.exec(words.findLast((word) => word.includes('=')) ?? '=') ?? [];
    const qos = Number(words.find((word) => /^q\d$/.test(word))?.slice(1) ?? 0);
    return { topic, payload, qos, dup: words.includes('dup'), retain: words.includes('retain') };
  },
  subscribe: (words) => ({ subscriptions: words.filter(isFilter).map(subscription) }),
  unsubscribe: (words) => ({ unsubscriptions: words.filter((word) => !/^#\d+$/.test(word)) }),
  suback: (words) => ({ granted: words.filter((word) => /^\d+$/.test(word)).map(Number) }),
  unsuback: (words) => ({ granted: words.filter((word) => /^\d+$/.test(word)).map(Number) }),
  ...Object.fromEntries(
    ['puback', 'pubrec', 'pubrel', 'pubcomp', 'disconnect', 'auth'].map((cmd) => [
      cmd,
      (words: string[]) => {
        const code = value(words, 'code');
        return code === undefined ? {} : { reasonCode: Number(code) };
      },
    ]),
  ),
};

function will(words: string[]): Fields {
  const delay = words.find((word) => word.startsWith('willDelayInterval:'));
  const properties = delay === undefined ? {} : { willDelayInterval: Number(delay.split(':')[1]) };
  return { topic: value(words, 'will'), payload: Buffer.from('lost'), qos: 1, retain: false, properties };
}

function isFilter(word: string): boolean {
  return /:[012](\+|$)/.test(word);
}

function subscription(word: string): Fields {
  const colon = word.lastIndexOf(':');
  const [qos, ...options] = word.slice(colon + 1).split('+');
  const rh = options.find((option) => option.startsWith('rh'));
  return {
    topic: word.slice(0, colon),
    qos: Number(qos),
    nl: options.includes('nl'),
    rap: options.includes('rap'),
    rh: rh === undefined ? 0 : Number(rh.slice(2)),
  };
}

function value(words: string[], name: string): string | undefined {
  return words.find((word) => word.startsWith(`${name}=`))?.slice(name.length + 1);
}

function propertiesOf(words: string[], cmd: string): Fields {
  const properties: Fields = {};
  for (const word of words) {
    const [, name = '', text = ''] = /^([a-z][A-Za-z]{3,}):(.+)$/.exec(word) ?? [];
    if (name === '' || (cmd === 'subscribe' && name !== 'subscriptionIdentifier')) continue;
    if (name === 'willDelayInterval') continue;
    properties[name] =
      text === 'true' || text === 'false' ? text === 'true' : /^\d+$/.test(text) ? Number(text) : text;
  }
  return properties;
}

/** Every packet in `bytes`, which must end at a packet's end. */
export function packetsIn(bytes: Uint8Array, version: Version): Packet[] {
  const packets: Packet[] = [];
  const reader = parser({ protocolVersion: version });
  reader.on('packet', (packet) => packets.push(packet));
  reader.on('error', (error) => {
    throw error;
  });
  if (bytes.length > 0 && reader.parse(Buffer.from(bytes)) !== 0)
    throw new Error('bytes end inside a packet');
  return packets;
}

/** A line for each packet in `bytes`; one for all of them where they are no packets. */
export function linesOf(bytes: Uint8Array, version: Version): string[] {
  try {
    return packetsIn(bytes, version).map(textOf);
  } catch {
    return [
      `RAW ${Buffer.from(bytes)
        .toString('hex')
        .replace(/..(?=.)/g, '$& ')}`,
    ];
  }
}

export function textOf(packet: Packet): string {
  const p = packet as unknown as Fields;
  const words: string[] = [packet.cmd.toUpperCase()];
  if (packet.messageId !== undefined) words.push(`#${packet.messageId}`);
  words.push(...(wordsOf[packet.cmd]?.(p) ?? []));
  const code = packet.cmd === 'connack' ? (p.reasonCode ?? p.returnCode) : p.reasonCode;
  if (typeof code === 'number' && code !== 0) words.push(`code=${code}`);
  for (const [name, property] of Object.entries((p.properties ?? {}) as Fields))
    words.push(`${name}:${property}`);
  return words.join(' ');
}

const wordsOf: Record<string, (p: Fields) => string[]> = {
  connect: (p) => [
    `id=${p.clientId}`,
    ...(p.clean ? ['clean'] : []),
    ...(p.bridgeMode ? ['bridge'] : []),
    ...(p.keepalive ? [`keepalive=${p.keepalive}`] : []),
    ...(p.username ? [`user=${p.username}`] : []),
    ...(p.password ? [`password=${p.password}`] : []),
    ...(p.will ? [`will=${(p.will as Fields).topic}`] : []),
  ],
  connack: (p) => (p.sessionPresent ? ['present'] : []),
  publish: (p) => [
    ...(p.qos ? [`q${p.qos}`] : []),
    ...(p.dup ? ['dup'] : []),
    ...(p.retain ? ['retain'] : []),
    `${p.topic}=${(p as unknown as IPublishPacket).payload}`,
  ],
  subscribe: (p) =>
    (p.subscriptions as ISubscription[]).map(
      ({ topic, qos, nl, rap, rh }) =>
        `${topic}:${qos}${nl ? '+nl' : ''}${rap ? '+rap' : ''}${rh ? `+rh${rh}` : ''}`,
    ),
  unsubscribe: (p) => p.unsubscriptions as string[],
  suback: (p) => (p.granted as number[]).map(String),
  unsuback: (p) => ((p.granted as number[] | undefined) ?? []).map(String),
};
