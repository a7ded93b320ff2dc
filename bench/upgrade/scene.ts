import { execFile, spawnSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { promisify } from 'node:util';
import type { StatusView, UpgradeView } from '../../src/admin/backend.ts';
import { freePort } from '../../test/support/free-port.ts';
import type { Way } from '../failover/doors.ts';
import type { Actor, Stage } from '../failover/stage.ts';

/** A proxy with listeners of all kinds before brokers that share nothing, and its upgrades. */

/** One sort of device. */
export interface Kind extends Way {
  /** `wss, TLSv1.3, relay` */
  readonly name: string;
}

const NODES = 3;
const UPGRADE_TIMEOUT_MS = 200_000;

const modes = ['session', 'relay'] as const;
const ways: readonly Omit<Way, 'port'>[] = [
  { scheme: 'mqtt' },
  { scheme: 'mqtts', version: 'TLSv1.2' },
  { scheme: 'mqtts', version: 'TLSv1.3' },
  { scheme: 'ws' },
  { scheme: 'wss', version: 'TLSv1.2' },
  { scheme: 'wss', version: 'TLSv1.3' },
];
const schemes = ['mqtt', 'mqtts', 'ws', 'wss'] as const;

export type Front = Awaited<ReturnType<Stage['breakwater']>>;

export function startNodes(stage: Stage): Promise<Actor[]> {
  return Promise.all(Array.from({ length: NODES }, (_, index) => stage.mosquitto(`node-${index + 1}`)));
}

export async function startFront(
  stage: Stage,
  nodes: readonly Actor[],
  engine: string,
): Promise<{ readonly front: Front; readonly kinds: readonly Kind[] }> {
  const tls = certificate(stage);
  const listeners: { url: string; mode: string; port: number; tls?: object }[] = [];
  for (const mode of modes) {
    for (const scheme of schemes) {
      const port = await freePort();
      const isSecure = scheme === 'mqtts' || scheme === 'wss';
      listeners.push({ url: `${scheme}://127.0.0.1:${port}`, mode, port, ...(isSecure && { tls }) });
    }
  }
  const front = await stage.breakwater(
    nodes,
    engine,
    {},
    {
      ...{ port: listeners[0]?.port ?? 0, limits: { shutdownGrace: 0 } },
      all: listeners.map(({ port: _, ...listener }) => listener),
    },
  );
  const kinds = modes.flatMap((mode) =>
    ways.map((way): Kind => {
      const listener = listeners.find((each) => each.mode === mode && each.url.startsWith(`${way.scheme}:`));
      const name = [way.scheme, ...(way.version === undefined ? [] : [way.version]), mode].join(', ');
      return { ...way, name, port: listener?.port ?? 0 };
    }),
  );
  await ready(front);
  return { front, kinds };
}

/** Paths of one that is its own authority. */
export function certificate(stage: Stage): { readonly cert: string; readonly key: string } {
  const [cert, key] = [stage.path('cert.pem'), stage.path('key.pem')];
  const request = ['req', '-x509', '-nodes', '-days', '2', '-subj', '/CN=localhost'];
  const kind = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256'];
  const { status, stderr } = spawnSync('openssl', [...request, ...kind, '-keyout', key, '-out', cert], {
    encoding: 'utf8',
  });
  if (status !== 0) throw new Error(`openssl: ${stderr}`);
  return { cert, key };
}

/** As HAProxy reads it: both in one file. */
export function certificateFile(stage: Stage): string {
  const { cert, key } = certificate(stage);
  const both = stage.path('both.pem');
  writeFileSync(both, readFileSync(cert, 'utf8') + readFileSync(key, 'utf8'), { mode: 0o600 });
  return both;
}

/** By the command line. @throws Error with what it says where it fails */
export async function upgrade(main: string, { adminUrl }: Front): Promise<UpgradeView> {
  const args = [main, 'upgrade', '--json', '--admin', adminUrl];
  const { stdout } = await promisify(execFile)(process.execPath, args, { timeout: UPGRADE_TIMEOUT_MS });
  return JSON.parse(stdout) as UpgradeView;
}

/** Of the process that is the proxy. Undefined: there is none that answers. */
export async function statusOf({ adminUrl }: Front): Promise<StatusView | undefined> {
  try {
    const response = await fetch(`${adminUrl}/api/v1/status`);
    return response.ok ? ((await response.json()) as StatusView) : undefined;
  } catch {
    return undefined;
  }
}

const READY_TIMEOUT_MS = 30_000;

/** Waits until a process is the proxy and has nodes, and returns what it says. */
export async function ready(front: Front): Promise<StatusView> {
  for (const endMs = performance.now() + READY_TIMEOUT_MS; ; ) {
    const status = await statusOf(front);
    if (status?.ready) return status;
    if (performance.now() > endMs) throw new Error(`no proxy is ready: ${tail(front.output())}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

/** The last lines that are not of a single device. */
function tail(log: string): string {
  const lines = log.split('\n').filter((line) => !line.includes('"clientId"'));
  return lines.slice(-30).join('\n');
}
