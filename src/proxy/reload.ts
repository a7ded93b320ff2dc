/** Applies a changed configuration to a running proxy. */

import type { ReloadView } from '../admin/backend.ts';
import { BreakwaterError, messageOf } from '../base/errors.ts';
import type { Log } from '../base/log.ts';
import type { Config } from '../config/config.ts';
import type { ConfigHolder } from '../config/current.ts';
import { type Difference, difference, isEmpty } from '../config/difference.ts';
import { ConfigError, formatProblem } from '../config/problems.ts';
import type { ListenerSettings } from '../data-plane-api/messages.ts';
import type { WantedListener } from './listener-tls.ts';
import type { Listeners } from './listeners.ts';
import { type SingleFlight, singleFlight } from './single-flight.ts';

export interface ReloadParts {
  /** The file as it is now. @throws BreakwaterError CONFIG_INVALID, CONFIG_UNREADABLE */
  readonly read: () => Promise<Config>;
  readonly current: ConfigHolder;
  /** Reads the files that listeners name. @throws BreakwaterError CONFIG_INVALID */
  readonly wanted: (config: Config) => Promise<readonly WantedListener[]>;
  readonly listeners: Pick<Listeners, 'change'>;
  /**
   * Makes the control plane follow the current configuration. Resolves when its nodes can be dialled. Nodes that
   * are not in the configuration stay until `leave`.
   */
  readonly enter: (changes: Difference) => Promise<void>;
  /** Makes the data plane follow it. Resolves, when every worker does, to the listeners with new certificates. */
  readonly data: (listeners: readonly ListenerSettings[]) => Promise<readonly string[]>;
  /** Nodes that are gone from the configuration leave. */
  readonly leave: () => void;
  readonly accepting: () => boolean;
  readonly onBegin: () => void;
  /** What has changed, in words; or why nothing has. */
  readonly onDone: (result: 'ok' | 'refused' | 'in-part', cause: string) => void;
  readonly log: Log;
}

/**
 * Reads the configuration again and applies the difference. What may fail comes first and is undone when it does: reading,
 * checking, and binding what is new. Then nodes come, then devices are placed at them, and only then others go: listeners
 * with their devices, and nodes, whose sessions follow the new routes. At every moment each device finds its node.
 */
export function createReload(parts: ReloadParts): SingleFlight<ReloadView> {
  const { current, listeners, log } = parts;
  /** From here on nothing is undone. */
  let isUnderWay = false;

  async function apply(): Promise<ReloadView> {
    refuseUnlessAccepting();
    const next = await parts.read();
    const changes = difference(current.config, next);
    if (changes.needRestart.length > 0) throw needsRestart(changes.needRestart);
    const wanted = await parts.wanted(next);
    refuseUnlessAccepting(); // files take their time
    const { settings, leave } = await listeners.change(wanted);
    isUnderWay = true;
    current.config = next;
    const certificates = await follow(changes, settings).finally(async () => {
      await leave();
      parts.leave();
    });
    const { needRestart: _, ...changed } = changes;
    const view = { ...changed, certificates };
    const isSame = isEmpty(changes) && certificates.length === 0;
    log.info(view, isSame ? 'reloaded: nothing has changed' : 'reloaded');
    parts.onDone('ok', isSame ? 'nothing has changed' : wordsOf(view));
    return view;
  }

  function refuseUnlessAccepting(): void {
    if (parts.accepting()) return;
    throw new BreakwaterError(
      'RELOAD_REFUSED',
      'nothing is reloaded while the proxy starts, stops, or is upgraded',
    );
  }

  async function follow(changes: Difference, settings: readonly ListenerSettings[]) {
    let certificates: readonly string[] = [];
    try {
      await parts.enter(changes);
    } finally {
      certificates = await parts.data(settings); // new listeners wait for it
    }
    return certificates;
  }

  return singleFlight(async () => {
    isUnderWay = false;
    parts.onBegin();
    try {
      return await apply();
    } catch (error) {
      tell(
        log,
        error,
        isUnderWay ? 'reloaded in part: reload again' : 'not reloaded: everything stays as it was',
      );
      parts.onDone(isUnderWay ? 'in-part' : 'refused', messageOf(error).split('\n', 1)[0] ?? '');
      throw error;
    }
  });
}

/** `listeners: added mqtt://0.0.0.0:1884; rules` */
function wordsOf({ listeners, pools, settings, certificates }: ReloadView): string {
  const changes = Object.entries({ listeners, pools }).flatMap(([what, { added, removed, changed }]) =>
    Object.entries({ added, removed, changed })
      .filter(([, names]) => names.length > 0)
      .map(([how, names]) => `${what} ${how}: ${names.join(', ')}`),
  );
  if (certificates.length > 0) changes.push(`certificates: ${certificates.join(', ')}`);
  return [...changes, ...settings].join('; ');
}

function needsRestart(paths: readonly string[]): BreakwaterError {
  return new BreakwaterError(
    'RELOAD_NEEDS_RESTART',
    `${paths.join(', ')} cannot change while the proxy runs, so nothing has been changed; start it again, or set back what was there`,
  );
}

function tell(log: Log, error: unknown, outcome: string): void {
  const code = error instanceof BreakwaterError ? error.code : 'INTERNAL';
  if (error instanceof ConfigError) {
    for (const problem of error.problems)
      log.error({ code: problem.code ?? code, problem: formatProblem(problem) }, 'configuration is wrong');
    if (error.more > 0) log.error({ code, more: error.more }, 'configuration is wrong in more places');
  }
  const [reason] = messageOf(error).split('\n');
  log.error({ code, reason }, outcome);
}
