/** Voice: tú, Latin American words. */
import type { NoticeTexts } from "./shape.ts";

export const es: NoticeTexts = {
  notices: {
    pairing_code: {
      subject: "Código para vincular el WhatsApp de {company}, válido hasta las {time}",
      body: [
        "Alguien está vinculando {phone} con {company} y pidió un código:",
        "{code}",
        "Sirve hasta las {time}. En el teléfono: WhatsApp > Dispositivos vinculados > Vincular un dispositivo > Vincular con el número de teléfono. Escríbelo sin el guion.",
        "Si nadie en {company} lo está haciendo, ignora este mensaje. No le des el código a nadie, tampoco a nosotros.",
      ],
      sms: "{code}: código de WhatsApp de {company}, hasta {time}. No lo compartas",
    },
    switched_to_code: {
      subject: "{company}: nadie escaneó el QR, hay un código esperando",
      body: [
        "Pasaron tres códigos QR de {company} sin usar, así que pedimos a WhatsApp un código para {phone}. Está en la página de vinculación y en otro mensaje, y sirve hasta las {time}.",
        "¿No llegaste a tiempo? Abre la página y pide uno nuevo: {url}",
        "Si {phone} no es el número correcto, allí puedes elegir otro.",
      ],
    },
    phone_missing: {
      subject: "{company}: ¿qué número usa WhatsApp?",
      body: [
        "Queremos conectar el WhatsApp de {company}, pero no hay un número guardado.",
        "Abre esta página y escribe el número, tarda un minuto: {url}",
        "Hasta entonces, {company} no recibe mensajes de WhatsApp por Manyline.",
      ],
      sms: "{company}: falta el número de WhatsApp. Agrégalo: {url}",
    },
    number_disconnected: {
      subject: "{company}: el WhatsApp {phone} está desconectado",
      body: [
        "{phone} está desconectado desde las {time}. Motivo: {reason}.",
        "Lo que hicimos: {tried}",
        "Lo que puedes hacer: {nextAction}",
        "{url}",
        "Los mensajes que envíes mientras tanto esperan y salen cuando el número vuelva.",
      ],
      sms: "{company}: WhatsApp {phone} desconectado desde {time}. {url}",
    },
    blocked: {
      subject: "{company}: la vinculación de WhatsApp está en pausa hasta las {time}",
      body: [
        "{company} pidió varios códigos en una hora. Para que WhatsApp no desconfíe de {phone}, no se darán más códigos hasta las {time}. Después vuelve a funcionar solo.",
        "Si no fuiste tú, puede que alguien intente vincular tu número. Nadie puede hacerlo sin tu teléfono en la mano, pero puedes renovar el enlace de la página: {url}",
      ],
      sms: "{company}: muchos códigos de WhatsApp, pausa hasta {time}.",
    },
    passkey_required: {
      subject: "{company}: WhatsApp pide una llave de acceso para {phone}",
      body: [
        "Por ahora no se puede vincular {phone}: WhatsApp comprueba esta cuenta con una llave de acceso antes de vincular un dispositivo, y aquí todavía no podemos pasar esa comprobación. El teléfono sigue funcionando igual.",
        "Lo que puedes hacer: vincula otro número o pasa este a la conexión oficial para empresas, que no necesita vincularse: {url}",
      ],
      sms: "{company}: WhatsApp pide una llave de acceso para {phone}. {url}",
    },
    restricted: {
      subject: "{company}: WhatsApp limitó {phone}",
      body: [
        "WhatsApp no deja que {phone} envíe todo. El límite termina: {until}.",
        "Guardamos los envíos hasta entonces; los mensajes entrantes siguen llegando.",
        "Lo que puedes hacer: abre WhatsApp en el teléfono y mira qué dice. Ayuda escribir menos a quienes no escribieron primero.",
      ],
    },
    token_expiring: {
      subject: "{company}: el token de acceso de {phone} vence, {time}",
      body: [
        "El token de acceso con el que {phone} envía por Meta vence: {time}. Desde ese momento no se puede enviar nada; los mensajes entrantes siguen llegando.",
        "Lo que puedes hacer: crea un token nuevo en Meta Business Suite y ponlo en los ajustes del número.",
      ],
    },
    number_added: {
      subject: "{company}: se agregó el número {phone}",
      body: [
        "Se agregó {phone} a {company}. Todavía no está conectado.",
        "Si nadie en {company} lo hizo, quita el número y mira quién tiene un token de tu cuenta.",
      ],
    },
    endpoint_disabled: {
      subject: "{company}: dejamos de llamar a {host}",
      body: [
        "Tu webhook en {host} no acepta nuestras llamadas desde las {time}, así que lo desactivamos. La última respuesta: {error}.",
        "No se pierde nada: guardamos lo que no se entregó. Cuando la dirección vuelva a funcionar, activa el webhook y pide que se repita.",
      ],
    },
  },
  reasons: {
    logged_out: {
      reason: "se desvinculó desde el teléfono",
      tried: "Nada más: un dispositivo retirado no puede reconectarse.",
      next: "Vuelve a vincular el número en esta página:",
    },
    connection_lost: {
      reason: "se cortó la conexión con WhatsApp",
      tried: "Seguimos reconectando.",
      next: "Nada por ahora. Para ver cómo va:",
    },
    replaced: {
      reason: "otro programa tomó esta conexión",
      tried: "Nos detuvimos para que los dos no se peleen por el número.",
      next: "Detén el otro programa y reconecta aquí:",
    },
    token_expired: {
      reason: "Meta rechaza el token de acceso",
      tried: "Guardamos los envíos; los mensajes entrantes siguen llegando.",
      next: "Pon un token nuevo en los ajustes del número:",
    },
    passkey_required: {
      reason: "WhatsApp pide una llave de acceso para este número",
      tried: "Las dos formas de vincular llegan a esta comprobación.",
      next: "Vincula otro número o pasa este a la conexión oficial para empresas:",
    },
    unknown: {
      reason: "WhatsApp no dio un motivo conocido",
      tried: "Seguimos reconectando y guardamos las llaves.",
      next: "Si continúa, mándanos esta página:",
    },
    locked: {
      reason: "WhatsApp bloqueó esta cuenta",
      tried: "Nos detuvimos; volver a intentarlo lo empeoraría.",
      next: "Abre WhatsApp en el teléfono y mira qué dice. Más aquí:",
    },
    ours: {
      reason: "la falla es nuestra",
      tried: "Estamos en ello y guardamos las llaves.",
      next: "Nada. Para ver cómo va:",
    },
  },
  unknownEnd: "no se sabe cuándo",
  button: "Abrir la página",
  footer: "Manyline escribe a las direcciones indicadas para {company}.",
  several: {
    subject: {
      one: "WhatsApp: {n} aviso",
      other: "WhatsApp: {n} avisos",
    },
    intro: "Pasaron varias cosas en poco tiempo:",
    more: {
      one: "y {n} más",
      other: "y {n} más",
    },
  },
};
