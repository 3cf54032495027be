/** The WhatsApp simulator's control API, as far as a person with a phone needs it. */

export type LinkedDevice = {
  id: number;
  name: string;
  platform: string;
  linkedAt: string;
  connected: boolean;
};

export type Phone = {
  /** digits with calling code */
  msisdn: string;
  name: string;
  /** has WhatsApp */
  exists: boolean;
  online: boolean;
  devices: LinkedDevice[];
  pendingCode: boolean;
  options: PhoneOptions;
};

export type PhoneOptions = {
  maxDevices: number;
  passkey: "off" | "on-scan" | "after-finish";
  [option: string]: unknown;
};

export type PhoneChange = {
  name?: string;
  exists?: boolean;
  online?: boolean;
  options?: PhoneOptions;
};

export type Fault = {
  kind: string;
  phone?: string;
  args?: Record<string, unknown>;
  times?: number;
};

/** What the phone shows instead. `code` is stable, `message` is a sentence. */
export class PhoneApiError extends Error {
  override readonly name = "PhoneApiError";
  readonly code: string;

  constructor(code: string, message: string) {
    super(message);
    this.code = code;
  }
}

export async function listPhones(): Promise<Phone[]> {
  const { phones } = await ask<{ phones: Phone[] }>("GET", "/phones");
  return phones;
}

/** Makes the phone if it is new. */
export function changePhone(msisdn: string, change: PhoneChange): Promise<Phone> {
  return ask("PUT", `/phones/${msisdn}`, change);
}

export function readPhoneState(msisdn: string): Promise<Phone> {
  return ask("GET", `/phones/${msisdn}`);
}

/** Resolves when the link is finished. */
export function scanQr(msisdn: string, qr: string): Promise<{ deviceId: number }> {
  return ask("POST", `/phones/${msisdn}/scan`, { qr });
}

/** Resolves when the link is finished. */
export function enterCode(msisdn: string, code: string): Promise<{ deviceId: number }> {
  return ask("POST", `/phones/${msisdn}/enter-code`, { code });
}

/** Logs out one device, or all. */
export function unlink(msisdn: string, deviceId?: number): Promise<{ unlinked: number }> {
  return ask("POST", `/phones/${msisdn}/unlink`, deviceId === undefined ? {} : { deviceId });
}

/** @returns how many connections it hit */
export function causeFault(fault: Fault): Promise<{ affected: number }> {
  return ask("POST", "/faults", fault);
}

export function clearFaults(): Promise<unknown> {
  return ask("DELETE", "/faults");
}

async function ask<Body>(method: string, path: string, body?: unknown): Promise<Body> {
  const response = await fetch(path, {
    method,
    ...(body === undefined
      ? {}
      : { body: JSON.stringify(body), headers: { "content-type": "application/json" } }),
  }).catch(() => undefined);
  if (!response) throw new PhoneApiError("unreachable", "The simulator does not answer.");
  const answer = (await response.json().catch(() => ({}))) as Body & {
    error?: { code?: string; message?: string };
  };
  if (response.ok) return answer;
  const { code = "unknown", message = "The simulator could not do this." } = answer.error ?? {};
  throw new PhoneApiError(code, message);
}
