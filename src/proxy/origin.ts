import type { Config } from '../config/config.ts';
import type { ControlState } from './control-state.ts';
import { Formers } from './formers.ts';
import type { KeeperLine } from './keeper.ts';
import type { RunningParts } from './running-parts.ts';

/** Sockets that listen already, by the key of their listener, and for the admin address by `adminKey`. */
export type Inherited = ReadonlyMap<string, readonly number[]>;

export function adminKey({ admin }: Config): string {
  return `admin ${admin.url}`;
}

/** What a proxy starts from: nothing, or an older process that hands over to it (`take-over.ts`). */
export interface Origin {
  /** What the older process knew. */
  readonly state: ControlState | undefined;
  /** To the process that was started first; undefined: this is it. */
  readonly line: KeeperLine | undefined;
  readonly formers: Formers;
  /** The program, started anew as this process was, would be this proxy again and nothing else. */
  readonly isWholeProgram: boolean;
  /** The control plane is ready: what listens already. */
  listeners(): Promise<Inherited>;
  /** Opens the admin address as soon as nobody else answers there; that of `inherited`, if there is one. */
  openAdmin(open: (inherited?: number) => Promise<void>): Promise<void>;
  /** The proxy accepts devices: takes what else the older process has. Resolves when this one is the proxy. */
  settle(parts: RunningParts): Promise<void>;
}

/** A start like any other. */
export const fromNothing: Origin = {
  state: undefined,
  line: undefined,
  formers: new Formers(),
  isWholeProgram: true,
  listeners: async () => new Map(),
  openAdmin: (open) => open(),
  settle: async () => {},
};

/** Of a process that is more than the proxy, such as one that has brokers too. */
export const partOfProgram: Origin = { ...fromNothing, isWholeProgram: false };
