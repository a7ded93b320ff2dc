import type { ConnectionHost } from './connection-host.ts';
import type { Target } from './wire.ts';

/** One connection counted at one node: taken when it is made, given back once. */
export class NodePermit {
  readonly target: Target;
  private host: Pick<ConnectionHost, 'release'> | undefined;

  private constructor(host: Pick<ConnectionHost, 'release'>, target: Target) {
    this.host = host;
    this.target = target;
  }

  /** Undefined when the node has none left. */
  static take(host: Pick<ConnectionHost, 'take' | 'release'>, target: Target): NodePermit | undefined {
    return host.take(target) ? new NodePermit(host, target) : undefined;
  }

  /** For a connection that the node serves already. */
  static ofServed(host: Pick<ConnectionHost, 'takeServed' | 'release'>, target: Target): NodePermit {
    host.takeServed(target);
    return new NodePermit(host, target);
  }

  get isHeld(): boolean {
    return this.host !== undefined;
  }

  release(): void {
    this.host?.release(this.target);
    this.host = undefined;
  }
}
