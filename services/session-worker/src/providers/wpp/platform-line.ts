/** A number at the WPP Platform. */
import type { Send, WppTask } from "@manyline/db";
import { NotOfferedError, type WppFileForms, type WppLine } from "./line.ts";
import type { WppAccount } from "./platform.ts";

/** The platform takes files by name only; these are what it knows them as. */
const NAMES = {
  video: "video.mp4",
  audio: "audio.mp3",
  voice: "voice.ogg",
  sticker: "sticker.webp",
};

/** What is known of the messages that others change. */
export type Tasks = {
  taskOf(send: Send): Promise<WppTask | undefined>;
  /** The message that `send` changes is this task now. */
  replaced(send: Send, taskId: string): Promise<void>;
};

export function platformLine(account: WppAccount, tasks: Tasks): WppLine {
  return {
    session: account.session,
    status: () => account.status(),
    start: async (webhookUrl) => {
      if (webhookUrl !== undefined) await account.registerWebhook(webhookUrl);
      return account.start();
    },
    registerWebhook: (url) => account.registerWebhook(url),
    qr: () => account.qr(),
    phone: () => Promise.resolve(null),
    logout: () => account.stop(),
    send: (send, file) => sendAs(account, send, file, tasks),
    file: async (messageId) => (await account.media(messageId)).chunks,
    checkPhones: () => Promise.reject(new NotOfferedError("the WPP Platform is not asked")),
    markRead: () => Promise.resolve(false),
    showTyping: () => Promise.resolve(false),
  };
}

async function sendAs(
  account: WppAccount,
  send: Send,
  file: WppFileForms,
  tasks: Tasks,
): Promise<string | null> {
  const { type, text, content } = send;
  if (send.phone === null) {
    throw new NotOfferedError("the WPP Platform writes to phones only, not to groups or LIDs");
  }
  const to = send.phone;
  switch (type) {
    case "text":
      return (await account.sendText(to, text ?? "")).taskId;
    case "image":
      return (await account.sendImage(to, await file.link(), text ?? "")).taskId;
    case "video":
    case "audio":
    case "voice":
    case "sticker":
      return (await account.sendFile(to, await file.link(), NAMES[type])).taskId;
    case "document": {
      const name = content?.media?.fileName ?? "file";
      return (await account.sendFile(to, await file.link(), name)).taskId;
    }
    case "location": {
      if (!content?.location) throw new NotOfferedError("a location without a place");
      return (await account.sendLocation(to, content.location)).taskId;
    }
    case "reaction": {
      const id = content?.context?.providerMessageId ?? "";
      await account.react(to, id, content?.emoji ?? "");
      return null;
    }
    case "delete":
      await account.deleteMessage((await taskFor(send, tasks)).taskId);
      return null;
    case "edit": {
      // The platform changes nothing: the message is taken back and another takes its place.
      const task = await taskFor(send, tasks);
      if (task.type !== "text") throw new NotOfferedError("the WPP Platform edits texts only");
      await account.deleteMessage(task.taskId);
      const { taskId } = await account.sendText(to, text ?? "");
      if (taskId !== null) await tasks.replaced(send, taskId);
      return null;
    }
    case "button_reply":
    case "call_permission":
    case "contact":
    case "flow_reply":
    case "interactive":
    case "list_reply":
    case "order":
    case "poll":
    case "poll_vote":
    case "system":
    case "template":
    case "unknown":
    case "unsupported":
    case "welcome":
      throw new NotOfferedError(`the WPP Platform has no call for ${type}`);
  }
}

async function taskFor(send: Send, tasks: Tasks): Promise<WppTask> {
  const task = await tasks.taskOf(send);
  if (!task) throw new NotOfferedError("the message that is changed is not known");
  return task;
}
