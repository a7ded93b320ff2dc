import { describe, expect, it } from 'vitest';
import { play } from './transcript.ts';

describe('an undisturbed session', () => {
  it.each([3, 4] as const)('passes everything on unchanged in both directions (level %i)', (version) => {
    const { session } = play(
      version,
      `
      -- Everything of an ordinary life goes through as it came, in both directions.
      device> CONNECT id=dev clean keepalive=60 user=me password=secret
      link
      >node   CONNECT id=dev clean keepalive=60 user=me password=secret
      node>   CONNACK
      >device CONNACK
      event   accepted sessionPresent=false
      device> SUBSCRIBE #1 a/#:1 b:2
      >node   SUBSCRIBE #1 a/#:1 b:2
      node>   SUBACK #1 1 2
      >device SUBACK #1 1 2
      device> PUBLISH a/1=zero | PUBLISH #2 q1 a/1=one | PUBLISH #3 q2 a/1=two
      >node   PUBLISH a/1=zero
      >node   PUBLISH #2 q1 a/1=one
      >node   PUBLISH #3 q2 a/1=two
      node>   PUBACK #2 | PUBREC #3 | PUBLISH a/1=zero | PUBLISH #1 q1 a/1=one
      >device PUBACK #2
      >device PUBREC #3
      >device PUBLISH a/1=zero
      >device PUBLISH #1 q1 a/1=one
      device> PUBREL #3 | PUBACK #1 | PINGREQ
      >node   PUBREL #3
      >node   PUBACK #1
      >node   PINGREQ
      node>   PUBCOMP #3 | PINGRESP | PUBLISH #2 q2 b=two
      >device PUBCOMP #3
      >device PINGRESP
      >device PUBLISH #2 q2 b=two
      device> PUBREC #2
      >node   PUBREC #2
      node>   PUBREL #2
      >device PUBREL #2
      device> PUBCOMP #2 | UNSUBSCRIBE #4 b
      >node   PUBCOMP #2
      >node   UNSUBSCRIBE #4 b
      node>   UNSUBACK #4
      >device UNSUBACK #4
      `,
    );
    expect(session.facts).toMatchObject({ subscriptions: 1, fromDevice: 0, toDevice: 0, reattachments: 0 });
  });
});
