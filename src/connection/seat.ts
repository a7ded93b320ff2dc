import type { Target } from './wire.ts';
import type { World } from './world.ts';

/** One connection counted at one node: taken when it is made, given back once. */
export class Seat {
  readonly target: Target;
  private world: Pick<World, 'take' | 'release'> | undefined;

  constructor(world: Pick<World, 'take' | 'release'>, target: Target) {
    this.world = world;
    this.target = target;
    world.take(target);
  }

  release(): void {
    this.world?.release(this.target);
    this.world = undefined;
  }
}
