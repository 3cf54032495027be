/** Everything Meta knows: apps, accounts, numbers, tokens, people, templates, flows. In memory. */
import { createHash, randomBytes, randomInt } from "node:crypto";

export type MetaApp = {
  id: string;
  secret: string;
  verifyToken: string;
  /** Where webhooks go; null: nowhere. */
  callbackUrl: string | null;
  /** Calls with its tokens must carry `appsecret_proof`. */
  isProofRequired: boolean;
};

/** A WhatsApp Business Account. Limits, and what people are called, belong to its portfolio. */
export type Waba = { id: string; portfolioId: string; subscribedApps: Set<string> };

export type BusinessNumber = {
  id: string;
  wabaId: string;
  /** Digits. */
  phone: string;
  name: string;
  isRegistered: boolean;
  quality: "GREEN" | "YELLOW" | "RED";
  /** Messages a second. */
  perSecond: number;
  /** A phone has it in the WhatsApp Business app as well. */
  isOnApp: boolean;
  /** The public key for flows, and whether Meta holds its signature for good. */
  encryptionKey: string | null;
  encryptionStatus: "VALID" | "MISMATCH";
};

/** A form whose screens an endpoint fills; requests are signed by the app it is linked to. */
export type Flow = {
  id: string;
  wabaId: string;
  name: string;
  endpointUrl: string;
  appId: string;
};

export const SCOPES = [
  "business_management",
  "whatsapp_business_management",
  "whatsapp_business_messaging",
] as const;
export type TokenScope = (typeof SCOPES)[number];

export type AccessToken = {
  token: string;
  appId: string;
  kind: "system_user" | "user";
  scopes: TokenScope[];
  /** The accounts it sees. */
  wabas: string[];
  /** Seconds since 1970; 0: never. */
  expiresAt: number;
  isRevoked: boolean;
};

export type Person = {
  /** Digits; the `wa_id`. */
  phone: string;
  /** Other phones that reach them: in Brazil, Mexico and Argentina a `wa_id` lacks or has a digit that is dialled or not. */
  dialled: string[];
  name: string;
  /** Who has one may hide the phone. */
  username: string | null;
  isPhoneHidden: boolean;
  isOnWhatsapp: boolean;
  /** Reads what comes, and lets it be known. */
  isReading: boolean;
};

export type Template = {
  wabaId: string;
  name: string;
  language: string;
  isApproved: boolean;
  /** Of its body. */
  parameters: number;
  /** The flow that its second button opens; the first one is a quick reply. Null: it has no buttons. */
  flowId: string | null;
};

const digits = (length: number): string =>
  String(randomInt(1, 10)) + Array.from({ length: length - 1 }, () => randomInt(10)).join("");

export class MetaWorld {
  readonly apps = new Map<string, MetaApp>();
  readonly wabas = new Map<string, Waba>();
  readonly numbers = new Map<string, BusinessNumber>();
  readonly tokens = new Map<string, AccessToken>();
  /** By phone. */
  readonly people = new Map<string, Person>();
  readonly templates: Template[] = [];
  readonly flows = new Map<string, Flow>();

  addApp(app: Partial<MetaApp> = {}): MetaApp {
    const made = {
      id: digits(15),
      secret: randomBytes(16).toString("hex"),
      verifyToken: randomBytes(16).toString("hex"),
      callbackUrl: null,
      isProofRequired: false,
      ...app,
    };
    this.apps.set(made.id, made);
    return made;
  }

  addWaba(waba: Partial<Omit<Waba, "subscribedApps">> & { apps?: readonly string[] } = {}): Waba {
    const { apps = [...this.apps.keys()], ...ids } = waba;
    const made = {
      id: digits(15),
      portfolioId: digits(15),
      subscribedApps: new Set(apps),
      ...ids,
    };
    this.wabas.set(made.id, made);
    return made;
  }

  addNumber(number: Partial<BusinessNumber> & { wabaId: string }): BusinessNumber {
    const made: BusinessNumber = {
      id: digits(15),
      phone: `1555${digits(7)}`,
      name: "Manyline Test",
      isRegistered: true,
      quality: "GREEN",
      perSecond: number.isOnApp ? 20 : 80,
      isOnApp: false,
      encryptionKey: null,
      encryptionStatus: "VALID",
      ...number,
    };
    this.numbers.set(made.id, made);
    return made;
  }

  /** A token that sees the accounts named and may do everything, unless said otherwise. */
  addToken(token: Partial<AccessToken> & { wabas: string[] }): AccessToken {
    const made: AccessToken = {
      token: `EAA${randomBytes(48).toString("base64url")}`,
      appId: [...this.apps.keys()][0] ?? "",
      kind: "system_user",
      scopes: [...SCOPES],
      expiresAt: 0,
      isRevoked: false,
      ...token,
    };
    this.tokens.set(made.token, made);
    return made;
  }

  addPerson(person: Partial<Person> & { phone: string }): Person {
    const made: Person = {
      name: `Person ${person.phone.slice(-4)}`,
      dialled: [],
      username: null,
      isPhoneHidden: false,
      isOnWhatsapp: true,
      isReading: true,
      ...person,
    };
    this.people.set(made.phone, made);
    return made;
  }

  addTemplate(template: Partial<Template> & { wabaId: string; name: string }): Template {
    const made = { language: "en_US", isApproved: true, parameters: 0, flowId: null, ...template };
    this.templates.push(made);
    return made;
  }

  addFlow(flow: Partial<Flow> & { wabaId: string; endpointUrl: string }): Flow {
    const made = {
      id: digits(15),
      name: "flow",
      appId: [...this.apps.keys()][0] ?? "",
      ...flow,
    };
    this.flows.set(made.id, made);
    return made;
  }

  /** What a person is called within a portfolio; others have another name for them. */
  userIdOf(phone: string, portfolioId: string): string {
    const hash = createHash("sha256").update(`${portfolioId}/${phone}`).digest();
    return `US.${hash.readBigUInt64BE().toString()}`;
  }

  /** By what an app calls them: the phone, or the id within the portfolio. */
  findPerson(name: { phone?: string; userId?: string }, portfolioId: string): Person | undefined {
    if (name.phone !== undefined) {
      const known = this.people.get(name.phone);
      if (known) return known;
    }
    return [...this.people.values()].find(({ phone, dialled }) =>
      name.phone === undefined
        ? this.userIdOf(phone, portfolioId) === name.userId
        : dialled.includes(name.phone),
    );
  }

  wabaOf(number: BusinessNumber): Waba {
    const waba = this.wabas.get(number.wabaId);
    if (!waba) throw new Error(`number ${number.id} has no account`);
    return waba;
  }

  /** A number with an account and a token of its own: what a test mostly needs. */
  addLine(options: { appId?: string; phone?: string; wabaId?: string } = {}): {
    waba: Waba;
    number: BusinessNumber;
    token: AccessToken;
  } {
    const { appId, phone, wabaId } = options;
    const known = wabaId === undefined ? undefined : this.wabas.get(wabaId);
    const waba = known ?? this.addWaba(appId === undefined ? {} : { apps: [appId] });
    const number = this.addNumber({ wabaId: waba.id, ...(phone === undefined ? {} : { phone }) });
    const token = this.addToken({
      wabas: [waba.id],
      ...(appId === undefined ? {} : { appId }),
    });
    return { waba, number, token };
  }
}
