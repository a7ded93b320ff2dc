import { z } from 'zod';
import { address, choice, name } from './fields.ts';

/** What a listener does when the file does not say. Session mode becomes the default once it exists. */
const MODE_DEFAULT = 'relay';

export const listenerSchema = z.strictObject({
  url: address(['mqtt'], ['mqtts', 'ws', 'wss', 'http', 'https', 'tcp']).meta({
    kind: '`mqtt://host:port`',
    description:
      'Address that devices connect to. Port 1883 when none is given (IANA, MQTT over TCP); 0 lets the system choose; `0.0.0.0` and `[::]` are all addresses of this machine. Two listeners cannot share one.',
  }),
  mode: choice(['relay'], ['session'])
    .default(MODE_DEFAULT)
    .describe('How connections are carried. `relay` passes bytes through untouched after CONNECT.'),
  pool: name()
    .default('default')
    .meta({ kind: 'pool name', description: 'Pool for devices that no rule sends elsewhere.' }),
});
