import type { Target } from './wire.ts';
import type { World } from './world.ts';

/** One connection counted at one node: taken when it is made, given back once. */
export class Seat {
  readonly target: Target;
  private world: Pick<World, 'release'> | undefined;

  private constructor(world: Pick<World, 'release'>, target: Target) {
    this.world = world;
    this.target = target;
  }

  /** Undefined when the node has none left. */
  static take(world: Pick<World, 'take' | 'release'>, target: Target): Seat | undefined {
    return world.take(target) ? new Seat(world, target) : undefined;
  }

  release(): void {
    this.world?.release(this.target);
    this.world = undefined;
  }
}
