import { Command } from 'commander';
import { printable } from '../../base/printable.ts';
import type { TracedPacket } from '../../connection/packet-trace.ts';
import { createAdminClient } from '../admin-client.ts';
import { readStream } from '../event-stream.ts';
import { type DataOptions, withAdminOptions, withExample } from '../options.ts';
import { print, printError } from '../output/print.ts';
import { watchSignals } from '../signals.ts';

/** `breakwater client trace`: the packets of one device, live. */

/** As the admin API tells it. */
export type ShownPacket = Omit<TracedPacket, 'atMs'> & { readonly at: string };

interface TraceOptions extends DataOptions {
  readonly payload?: boolean;
}

export function clientTraceCommand(): Command {
  const command = new Command('trace')
    .description('show the packets of one device in session mode as they pass, until Ctrl-C')
    .argument(
      '<client>',
      "client id, or '#17' for the connection of that number ('#17@edge-1': of that proxy)",
    )
    .option('--payload', 'with the beginnings of payloads, where admin.tracePayloads allows it')
    .action(trace);
  return withExample(
    withAdminOptions(command),
    'client trace meter-17',
    "client trace '#17' --payload --json",
  );
}

async function trace(clientId: string, { payload, json, ...options }: TraceOptions): Promise<void> {
  const { asked } = watchSignals();
  const path = `clients/${encodeURIComponent(clientId)}/trace?payload=${payload === true}`;
  const stream = await createAdminClient(options).stream(path, asked);
  try {
    for await (const { name, data } of readStream(stream)) {
      if (json) print(JSON.stringify({ event: name, ...(data as object) }));
      else tell(name, data);
    }
  } catch (error) {
    if (!asked.aborted) throw error;
  }
}

function tell(name: string, data: unknown): void {
  if (name === 'packet') return print(packetLine(data as ShownPacket));
  if (name === 'client') {
    const { clientId, connection, proxy, node } = data as Record<string, string>;
    return print(
      printable(`client ${clientId}, connection #${connection}@${proxy}, at ${node}; Ctrl-C ends`),
    );
  }
  if (name === 'dropped')
    return printError(`… ${(data as { count: number }).count} packets more passed than could be shown`);
  if (name === 'end') printError(`the trace ends: ${(data as { reason: string }).reason}`);
}

/** `03:12:07.123  from device  publish    45 B  id 7  qos 1  meters/17/temp  payload 20 B` */
export function packetLine({ at, direction, type, size, ...packet }: ShownPacket): string {
  const { id, code, topic, qos, dup, retain, filters, payloadSize, payload } = packet;
  const details = [
    id === undefined ? '' : `id ${id}`,
    qos === undefined ? '' : `qos ${qos}`,
    dup ? 'dup' : '',
    retain ? 'retain' : '',
    code === undefined ? '' : `code 0x${code.toString(16).padStart(2, '0')}`,
    topic === undefined ? '' : topic || '(alias)',
    ...(filters ?? []),
    payloadSize === undefined ? '' : `payload ${payloadSize} B`,
    payload === undefined ? '' : payloadText(payload, payloadSize ?? 0),
  ].filter((text) => text !== '');
  const from = direction === 'from-device' ? 'from device' : 'to device  ';
  return printable([at.slice(11, 23), from, type.padEnd(11), `${size} B`.padStart(8), ...details].join('  '));
}

/** As text where it is text, else in hex; `…` where it goes on. */
function payloadText(base64: string, size: number): string {
  const bytes = Buffer.from(base64, 'base64');
  const text = bytes.toString('utf8').replace(/\ufffd$/, ''); // it may be cut in a character
  const shown = text.includes('\ufffd') ? bytes.toString('hex') : JSON.stringify(text);
  return bytes.length < size ? `${shown}…` : shown;
}
