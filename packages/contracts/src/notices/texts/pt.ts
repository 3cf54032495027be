/** Voice: você, Brazilian words. */
import type { NoticeTexts } from "./shape.ts";

export const pt: NoticeTexts = {
  notices: {
    pairing_code: {
      subject: "Código para conectar o WhatsApp de {company}, vale até {time}",
      body: [
        "Alguém está conectando {phone} à empresa {company} e pediu um código:",
        "{code}",
        "Vale até {time}. No celular: WhatsApp > Aparelhos conectados > Conectar um aparelho > Conectar com número de telefone. Digite sem o hífen.",
        "Se ninguém em {company} está fazendo isso, ignore esta mensagem. Não passe o código a ninguém, nem para nós.",
      ],
      sms: "{code}: código do WhatsApp de {company}, até {time}. Não compartilhe",
    },
    switched_to_code: {
      subject: "{company}: ninguém leu o QR code, há um código esperando",
      body: [
        "Três QR codes de {company} ficaram sem uso; por isso pedimos ao WhatsApp um código para {phone}. Ele está na página de conexão e em outra mensagem, e vale até {time}.",
        "Não deu tempo? Abra a página e peça um novo: {url}",
        "Se {phone} não for o número certo, escolha outro ali mesmo.",
      ],
    },
    phone_missing: {
      subject: "{company}: qual número usa o WhatsApp?",
      body: [
        "Queremos conectar o WhatsApp de {company}, mas não há um número salvo.",
        "Abra esta página e digite o número, leva um minuto: {url}",
        "Até lá, {company} não recebe mensagens do WhatsApp pelo Manyline.",
      ],
      sms: "{company}: falta o número do WhatsApp. Adicione: {url}",
    },
    number_disconnected: {
      subject: "{company}: o WhatsApp {phone} está desconectado",
      body: [
        "{phone} está desconectado desde {time}. Motivo: {reason}.",
        "O que fizemos: {tried}",
        "O que você pode fazer: {nextAction}",
        "{url}",
        "As mensagens enviadas nesse meio-tempo esperam e saem quando o número voltar.",
      ],
      sms: "{company}: WhatsApp {phone} desconectado desde {time}. {url}",
    },
    blocked: {
      subject: "{company}: a conexão do WhatsApp está em pausa até {time}",
      body: [
        "{company} pediu vários códigos em uma hora. Para o WhatsApp não desconfiar de {phone}, não haverá novos códigos até {time}. Depois volta a funcionar sozinho.",
        "Se não foi você, alguém pode estar tentando conectar o seu número. Ninguém consegue isso sem o seu celular na mão, mas você pode trocar o link da página: {url}",
      ],
      sms: "{company}: muitos códigos do WhatsApp, pausa até {time}.",
    },
    passkey_required: {
      subject: "{company}: o WhatsApp pede uma chave de acesso para {phone}",
      body: [
        "Por enquanto não dá para conectar {phone}: o WhatsApp verifica esta conta com uma chave de acesso antes de conectar um aparelho, e aqui ainda não conseguimos fazer essa verificação. No celular, tudo continua como antes.",
        "O que você pode fazer: conecte outro número ou passe este para a conexão oficial para empresas, que não precisa disso: {url}",
      ],
      sms: "{company}: o WhatsApp pede uma chave de acesso para {phone}. {url}",
    },
    restricted: {
      subject: "{company}: o WhatsApp limitou {phone}",
      body: [
        "O WhatsApp não deixa {phone} enviar tudo. O limite acaba: {until}.",
        "Guardamos os envios até lá; as mensagens recebidas continuam chegando.",
        "O que você pode fazer: abra o WhatsApp no celular e veja o que ele diz. Ajuda escrever menos para quem não escreveu primeiro.",
      ],
    },
    token_expiring: {
      subject: "{company}: o token de acesso de {phone} vence, {time}",
      body: [
        "O token de acesso com que {phone} envia pela Meta vence: {time}. A partir daí nada pode ser enviado; as mensagens recebidas continuam chegando.",
        "O que você pode fazer: crie um token novo no Meta Business Suite e coloque nas configurações do número.",
      ],
    },
    number_added: {
      subject: "{company}: o número {phone} foi adicionado",
      body: [
        "{phone} foi adicionado à empresa {company}. Ainda não está conectado.",
        "Se ninguém em {company} fez isso, remova o número e veja quem tem um token da sua conta.",
      ],
    },
    endpoint_disabled: {
      subject: "{company}: paramos de chamar {host}",
      body: [
        "Seu webhook em {host} não aceita nossas chamadas desde {time}, por isso o desligamos. A última resposta: {error}.",
        "Nada se perde: guardamos o que não foi entregue. Quando o endereço voltar a funcionar, ligue o webhook e peça a repetição.",
      ],
    },
  },
  reasons: {
    logged_out: {
      reason: "foi desconectado no celular",
      tried: "Nada além disso: um aparelho removido não consegue reconectar.",
      next: "Conecte o número de novo nesta página:",
    },
    connection_lost: {
      reason: "a conexão com o WhatsApp caiu",
      tried: "Continuamos reconectando.",
      next: "Nada por enquanto. Para ver como está:",
    },
    replaced: {
      reason: "outro programa assumiu esta conexão",
      tried: "Paramos, para que os dois não disputem o número.",
      next: "Pare o outro programa e reconecte aqui:",
    },
    token_expired: {
      reason: "A Meta recusa o token de acesso",
      tried: "Guardamos os envios; as mensagens recebidas continuam chegando.",
      next: "Coloque um token novo nas configurações do número:",
    },
    passkey_required: {
      reason: "o WhatsApp pede uma chave de acesso para este número",
      tried: "As duas formas de conectar param nessa verificação.",
      next: "Conecte outro número ou passe este para a conexão oficial para empresas:",
    },
    unknown: {
      reason: "o WhatsApp não deu um motivo conhecido",
      tried: "Continuamos reconectando e guardamos as chaves.",
      next: "Se continuar, mande esta página para nós:",
    },
    locked: {
      reason: "o WhatsApp bloqueou esta conta",
      tried: "Paramos; tentar de novo pioraria.",
      next: "Abra o WhatsApp no celular e veja o que ele diz. Mais aqui:",
    },
    ours: {
      reason: "a falha é nossa",
      tried: "Estamos cuidando disso e guardamos as chaves.",
      next: "Nada. Para ver como está:",
    },
  },
  unknownEnd: "não se sabe quando",
  button: "Abrir a página",
  footer: "O Manyline escreve para os endereços definidos para {company}.",
  several: {
    subject: {
      one: "WhatsApp: {n} aviso",
      other: "WhatsApp: {n} avisos",
    },
    intro: "Várias coisas aconteceram em pouco tempo:",
    more: {
      one: "e mais {n}",
      other: "e mais {n}",
    },
  },
};
