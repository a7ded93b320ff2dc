import type { Log } from '../base/log.ts';

/**
 * SIGHUP: the configuration is to be read again, and nobody waits for an answer. So it is never refused because of an upgrade, whose new
 * process may have read the file before it was changed: whichever process is the proxy behind the upgrade reads it again.
 */

interface HangUpsParts {
  /** Says in the log what comes of it. */
  readonly reload: () => unknown;
  readonly log: Pick<Log, 'info'>;
}

export class HangUps {
  private readonly parts: HangUpsParts;
  private isUpgrading = false;
  private isReplaced = false;
  /** Has the process that is the proxy read its configuration again; undefined where the keeper does that. */
  private passOn: (() => void) | undefined;
  /** One has come while the proxy was upgraded. */
  private waits = false;
  /** Has the new process read its configuration again as soon as it is the proxy; undefined while it may not be listening yet. */
  private pass: (() => void) | undefined;

  constructor(parts: HangUpsParts) {
    this.parts = parts;
  }

  /** One has come. */
  heed(): void {
    const { log, reload } = this.parts;
    if (this.isReplaced) return this.heedReplaced();
    if (!this.isUpgrading) return void reload();
    log.info(
      'SIGHUP: the configuration is read again behind the upgrade, by whichever process is the proxy then',
    );
    this.waits = true;
    this.pass?.();
  }

  upgradeBegins(): void {
    this.isUpgrading = true;
  }

  /** The new process heeds signals: it is told of what has come, and from now on at once, because this one may be killed. */
  newProcessListens(pass: () => void): void {
    this.pass = pass;
    if (this.waits) pass();
  }

  /** The new process is the proxy. @param passOn undefined: this process is the keeper, which passes on all signals (`keeper.ts`) */
  replaced(passOn: (() => void) | undefined): void {
    this.isReplaced = true;
    this.passOn = passOn;
  }

  private heedReplaced(): void {
    if (this.passOn === undefined) return;
    this.parts.log.info('SIGHUP: passed on to the process that is the proxy');
    this.passOn();
  }

  /** Behind it this process is the proxy, or passes on what comes. */
  upgradeEnds(hasFailed: boolean): void {
    const { waits } = this;
    this.isUpgrading = false;
    this.waits = false;
    this.pass = undefined;
    if (waits && hasFailed) this.parts.reload();
  }
}
