import { execFileSync } from 'node:child_process';
import { atEnd, type Spawned, start } from './process.ts';

/** Why network namespaces cannot be made here; undefined where they can. */
export function namespaceFault(): string | undefined {
  if (process.platform !== 'linux') return 'network namespaces are of Linux';
  if (process.getuid?.() !== 0) return 'network namespaces are made by root only';
  const name = `bw-${process.pid}-try`;
  try {
    ip('netns', 'add', name);
    ip('netns', 'del', name);
    return undefined;
  } catch (error) {
    return `no network namespace can be made, is iproute2 installed? ${String(error).split('\n')[0]}`;
  }
}

function ip(...args: string[]): void {
  execFileSync('ip', args, { stdio: 'pipe' });
}

let made = 0;

/** A machine of its own as far as the network goes. It ends with the test file. */
export class Namespace {
  readonly name = `bw-${process.pid}-${++made}`;

  constructor() {
    ip('netns', 'add', this.name);
    atEnd(() => ip('netns', 'del', this.name));
    this.ip('link', 'set', 'lo', 'up');
  }

  ip(...args: string[]): void {
    ip('-n', this.name, ...args);
  }

  /** Runs to its end. @throws Error where it fails */
  run(command: string, ...args: string[]): string {
    return execFileSync('ip', ['netns', 'exec', this.name, command, ...args], { encoding: 'utf8' });
  }

  start(command: string, ...args: string[]): Spawned {
    return start('ip', ['netns', 'exec', this.name, command, ...args]);
  }
}

/** A cable between two; each end has its interface's name and its addresses, such as `10.0.1.1/24`. */
export function connectNamespaces(
  [one, oneName, oneAddresses]: readonly [Namespace, string, readonly string[]],
  [other, otherName, otherAddresses]: readonly [Namespace, string, readonly string[]],
): void {
  ip('-n', one.name, 'link', 'add', oneName, 'type', 'veth', 'peer', 'name', otherName, 'netns', other.name);
  for (const [namespace, name, addresses] of [
    [one, oneName, oneAddresses],
    [other, otherName, otherAddresses],
  ] as const) {
    for (const address of addresses)
      namespace.ip('address', 'add', address, 'dev', name, ...(address.includes(':') ? ['nodad'] : []));
    namespace.ip('link', 'set', name, 'up');
  }
}
