// The package has no types of its own; this is what we use of it.
declare module 'aedes-persistence-redis' {
  import type { Redis } from 'ioredis';
  export default function aedesRedis(options: { conn: Redis; maxSessionDelivery?: number }): object;
}
