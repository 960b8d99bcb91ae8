import { type Static, Type } from 'typebox';
import { DEFAULT_MAX_BODY_BYTES } from '../../protocol/limits.ts';
import { logLevelField, natsFields, strict, topologyFields } from './shared.ts';

const authFields = Type.Object(
  {
    mode: Type.Union([Type.Literal('secret'), Type.Literal('jwks')], {
      default: 'secret',
      description: 'secret: HS256 with a shared secret; jwks: public keys of your identity provider',
    }),
    secretFile: Type.String({
      default: 'data/jwt-secret',
      description: 'file with the HS256 secret, at least 32 bytes',
    }),
    jwks: Type.String({
      default: '',
      description: 'URL of a JWKS, fetched again every ten minutes; or a file with one, read at start',
    }),
    issuer: Type.String({ default: '', description: 'required `iss`; empty: not checked' }),
    audience: Type.String({ default: '', description: 'required `aud`; empty: not checked' }),
    devTokens: Type.Boolean({
      default: false,
      description: 'offer POST /v1/dev/token, which gives anybody a token for any user: for development only',
    }),
    apiKeyDir: Type.String({
      default: '',
      description: 'folder of API keys for backends (`rookery key`), each with its scopes; empty: none',
    }),
    apiKeys: Type.Array(Type.String({ minLength: 32 }), {
      default: [],
      secret: true,
      description: 'keys with which a backend may do everything; 32 characters or more; apiKeyDir is safer',
    }),
  },
  { ...strict, default: {} },
);

/** What `rookery token` and `rookery key` need to know of the file of a gateway. */
export const authSchema = Type.Object({ auth: authFields });

const loginFields = Type.Object(
  {
    enabled: Type.Boolean({
      default: false,
      description: 'offer POST /v1/login, a password against a token; needs auth.mode secret',
    }),
    tokenLifetimeMs: Type.Integer({
      default: 86_400_000,
      minimum: 60_000,
      description: 'how long a token counts that a login gives',
    }),
  },
  { ...strict, default: {} },
);

const limitFields = Type.Object(
  {
    maxBodyBytes: Type.Integer({
      default: DEFAULT_MAX_BODY_BYTES,
      minimum: 1,
      maximum: 900_000,
      description: 'of a message body',
    }),
    maxSessions: Type.Integer({ default: 50_000, minimum: 1, description: 'open sockets; beyond: OVERLOADED' }),
    maxHttpConnections: Type.Integer({
      default: 4_096,
      minimum: 1,
      description:
        'open connections beside maxSessions: of HTTP, and of who has said nothing; beyond: closed unanswered',
    }),
    maxUngreeted: Type.Integer({
      default: 8_192,
      minimum: 1,
      description: 'open sockets without a hello that was taken, each up to 16 KiB; beyond: TOO_MANY_UNGREETED',
    }),
    maxInFlight: Type.Integer({
      default: 512,
      minimum: 1,
      description: 'unanswered requests of a session; beyond: OVERLOADED',
    }),
    maxAppends: Type.Integer({
      default: 8_192,
      minimum: 1,
      description: 'unacked appends of the gateway; beyond: OVERLOADED',
    }),
    maxAppendBytes: Type.Integer({
      default: 67_108_864,
      minimum: 1,
      description: 'bytes of unacked appends; beyond: OVERLOADED',
    }),
    maxLaneBacklog: Type.Integer({
      default: 20_000,
      minimum: 1,
      description: 'events of a lane in the log and not yet in the inboxes; beyond: OVERLOADED',
    }),
    maxContactRequestsPerHour: Type.Integer({
      default: 60,
      minimum: 1,
      description: 'of one user to others, those at other gateways included; beyond: TOO_MANY_CONTACT_REQUESTS',
    }),
    maxQuestions: Type.Integer({
      default: 64,
      minimum: 1,
      maximum: 128,
      description: 'questions to read models under way, a query is one for each lane it is asked of; others wait',
    }),
    maxQuestionsOfUser: Type.Integer({ default: 8, minimum: 1, maximum: 128, description: 'of these of one user' }),
    maxWaitingQuestionsOfUser: Type.Integer({
      default: 1_024,
      minimum: 1,
      maximum: 16_384,
      description: 'of one user, waiting for their turn; beyond: OVERLOADED. One list takes two for each lane',
    }),
    maxQuestionWaitMs: Type.Integer({
      default: 5_000,
      minimum: 100,
      description: 'a question that has waited so long for its turn: OVERLOADED',
    }),
    appendDeadlineMs: Type.Integer({
      default: 10_000,
      minimum: 100,
      description: 'after it an append is given up: LOG_UNAVAILABLE',
    }),
    heartbeatMs: Type.Integer({
      default: 30_000,
      minimum: 100,
      description: 'a socket silent for so long is pinged, for twice as long closed',
    }),
    helloTimeoutMs: Type.Integer({ default: 10_000, minimum: 100, description: 'from the upgrade to the hello frame' }),
    maxBufferedBytes: Type.Integer({
      default: 1_048_576,
      minimum: 65_536,
      description: 'unsent bytes of a socket before it leaves the live tail',
    }),
    ringMaxBytes: Type.Integer({
      default: 134_217_728,
      minimum: 0,
      description: 'of the entries kept in memory, per INBOX stream',
    }),
    ringMaxEntries: Type.Integer({
      default: 1_048_576,
      minimum: 0,
      description: 'entries kept in memory, per INBOX stream',
    }),
    maxColdEntries: Type.Integer({
      default: 5_000,
      minimum: 1,
      description:
        'inbox records looked up for one device in the stream, a hundred read in a row counting as one; further behind: resync',
    }),
    maxReplayEvents: Type.Integer({
      default: 2_000_000,
      minimum: 1,
      description: 'of the log read for one resync; beyond: TOO_FAR_BEHIND',
    }),
  },
  { ...strict, default: {} },
);

const maxOnline = (kind: string) =>
  Type.Integer({
    default: 0,
    minimum: 0,
    description: `${kind} of one user online at once; the newest stay, the others are closed with 4203. 0: any number`,
  });

const deviceFields = Type.Object(
  {
    maxOnline: Type.Object(
      {
        phone: maxOnline('phones'),
        tablet: maxOnline('tablets'),
        desktop: maxOnline('desktops'),
        web: maxOnline('browsers'),
        other: maxOnline('other devices'),
      },
      { ...strict, default: {} },
    ),
  },
  { ...strict, default: {} },
);

export const gatewaySchema = Type.Object(
  {
    nats: natsFields,
    topology: topologyFields,
    logLevel: logLevelField,
    host: Type.String({ default: '127.0.0.1', description: 'address to listen at' }),
    port: Type.Integer({
      default: 7700,
      minimum: 0,
      maximum: 65_535,
      description: 'port to listen at; 0 takes a free one',
    }),
    auth: authFields,
    login: loginFields,
    trustedProxies: Type.Array(Type.String(), {
      default: [],
      description: 'addresses or networks of proxies whose X-Forwarded-For tells who asks; others may not say',
    }),
    accounts: Type.Union([Type.Literal('open'), Type.Literal('required')], {
      default: 'open',
      description: 'open: any user whose token is valid; required: who has an account',
    }),
    messaging: Type.Union([Type.Literal('open'), Type.Literal('friendsOnly')], {
      default: 'open',
      description: 'open: anybody may write to anybody; friendsOnly: persons only to their contacts',
    }),
    web: Type.Boolean({ default: true, description: 'serve the web client at /' }),
    devices: deviceFields,
    limits: limitFields,
  },
  strict,
);

export type GatewayConfig = Static<typeof gatewaySchema>;
export type GatewayLimits = GatewayConfig['limits'];
