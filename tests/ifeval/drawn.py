"""Drawn pairs of an instruction and a response that now follows it, now breaks it."""

import json
import random
import re

import made_data
import outside

AWKWARD = ["", " ", "\n\n", "...", "*", "***", "******", "é", "ΣΟΦΟΣ", "İstanbul ı ſ K", "日本語です。", "😀", "\u2028x\u2028", "\u0085", "\x1c",
           "a\u00a0b", "```", "```json\n{}\n```", "`x`", "\r\nline\r\n", "\t- tab", "* ", "-", "--", "\u2014", "''", "\"", "\u201cquoted\u201d", "P.S.", "<<>>",
           "<< >>", "[]", "[\n]", "**", "****", "_", "½ ² Ⅷ ⅷ", "ǅ", "ª", "ͅ", "A.B.C.", "U.S.", "CAN'T", "I'M", "CANNOT", "GIMME", "X'S.", "'TIS", "NASA,ESA",
           "X-RAY", "10,000", "3.5M", "WHO?!", "A/B", "…", "NaN", "[1e999]", "\"\\ud800\"", "{\"a\":1,}", "\ufeff{}", "&c.", "K", "ﬁ", "ß", "ẞ"]
LANGUAGES = {
    "en": "The library opens at nine in the morning and closes late in the evening, so that everybody finds time to read there.",
    "de": "Die Bücherei öffnet um neun Uhr morgens und schließt spät am Abend, damit jeder die Zeit findet, dort zu lesen.",
    "fr": "La bibliothèque ouvre à neuf heures du matin et ferme tard le soir, pour que chacun trouve le temps d'y lire.",
    "es": "La biblioteca abre a las nueve de la mañana y cierra tarde por la noche, para que todos encuentren tiempo para leer.",
    "it": "La biblioteca apre alle nove del mattino e chiude tardi la sera, così che tutti trovino il tempo per leggere.",
    "pt": "A biblioteca abre às nove da manhã e fecha tarde da noite, para que todos encontrem tempo para ler ali.",
    "fi": "Kirjasto avataan yhdeksältä aamulla ja suljetaan myöhään illalla, jotta kaikki löytävät aikaa lukea siellä.",
    "pl": "Biblioteka jest otwierana o dziewiątej rano i zamykana późno wieczorem, aby każdy znalazł czas na czytanie.",
    "sw": "Maktaba hufunguliwa saa tatu asubuhi na hufungwa usiku sana, ili kila mtu apate muda wa kusoma vitabu huko.",
    "vi": "Thư viện mở cửa lúc chín giờ sáng và đóng cửa muộn vào buổi tối, để mọi người có thời gian đọc sách ở đó.",
    "ru": "Библиотека открывается в девять часов утра и закрывается поздно вечером, чтобы каждый нашёл время почитать.",
    "uk": "Бібліотека відкривається о дев'ятій годині ранку і зачиняється пізно ввечері, щоб кожен знайшов час почитати.",
    "bg": "Библиотеката отваря в девет часа сутринта и затваря късно вечерта, за да може всеки да намери време за четене.",
    "ar": "تفتح المكتبة أبوابها في التاسعة صباحا وتغلق في وقت متأخر من المساء حتى يجد الجميع وقتا للقراءة هناك.",
    "he": "הספרייה נפתחת בתשע בבוקר ונסגרת מאוחר בערב, כדי שכולם ימצאו זמן לקרוא שם.",
    "fa": "کتابخانه ساعت نه صبح باز می‌شود و دیروقت شب بسته می‌شود تا همه برای خواندن وقت پیدا کنند.",
    "ur": "لائبریری صبح نو بجے کھلتی ہے اور رات دیر سے بند ہوتی ہے تاکہ ہر کسی کو وہاں پڑھنے کا وقت مل سکے۔",
    "hi": "पुस्तकालय सुबह नौ बजे खुलता है और देर शाम को बंद होता है ताकि सभी को वहाँ पढ़ने का समय मिल सके।",
    "mr": "ग्रंथालय सकाळी नऊ वाजता उघडते आणि रात्री उशिरा बंद होते जेणेकरून सर्वांना तिथे वाचायला वेळ मिळेल.",
    "ne": "पुस्तकालय बिहान नौ बजे खुल्छ र बेलुका ढिलो बन्द हुन्छ ताकि सबैले त्यहाँ पढ्ने समय पाऊन्।",
    "bn": "গ্রন্থাগারটি সকাল নয়টায় খোলে এবং গভীর সন্ধ্যায় বন্ধ হয় যাতে সবাই সেখানে পড়ার সময় পায়।",
    "gu": "પુસ્તકાલય સવારે નવ વાગ્યે ખુલે છે અને મોડી સાંજે બંધ થાય છે જેથી દરેકને ત્યાં વાંચવાનો સમય મળે.",
    "pa": "ਲਾਇਬ੍ਰੇਰੀ ਸਵੇਰੇ ਨੌਂ ਵਜੇ ਖੁੱਲ੍ਹਦੀ ਹੈ ਅਤੇ ਦੇਰ ਸ਼ਾਮ ਬੰਦ ਹੁੰਦੀ ਹੈ ਤਾਂ ਜੋ ਸਾਰਿਆਂ ਨੂੰ ਪੜ੍ਹਨ ਦਾ ਸਮਾਂ ਮਿਲ ਸਕੇ।",
    "ta": "நூலகம் காலை ஒன்பது மணிக்குத் திறந்து மாலையில் தாமதமாக மூடப்படுகிறது, அனைவரும் அங்கே படிக்க நேரம் கிடைக்கும்.",
    "te": "గ్రంథాలయం ఉదయం తొమ్మిది గంటలకు తెరుచుకుంటుంది మరియు సాయంత్రం ఆలస్యంగా మూసివేయబడుతుంది.",
    "kn": "ಗ್ರಂಥಾಲಯವು ಬೆಳಿಗ್ಗೆ ಒಂಬತ್ತು ಗಂಟೆಗೆ ತೆರೆಯುತ್ತದೆ ಮತ್ತು ಸಂಜೆ ತಡವಾಗಿ ಮುಚ್ಚುತ್ತದೆ.",
    "ml": "ലൈബ്രറി രാവിലെ ഒമ്പത് മണിക്ക് തുറക്കുകയും വൈകുന്നേരം വൈകി അടയ്ക്കുകയും ചെയ്യുന്നു.",
    "th": "ห้องสมุดเปิดเวลาเก้าโมงเช้าและปิดดึกในตอนเย็น เพื่อให้ทุกคนมีเวลาอ่านหนังสือที่นั่น",
    "ko": "도서관은 아침 아홉 시에 열고 저녁 늦게 닫아서 모두가 그곳에서 책을 읽을 시간을 가질 수 있습니다.",
    "ja": "図書館は朝九時に開き、夜遅くに閉まるので、だれもがそこで本を読む時間を見つけることができます。"}


def english_texts():
    """AlpacaEval's outputs where they are, else made-up ones."""
    if outside.data_if_there("alpaca_eval", "alpaca_eval.json"):
        rows = json.loads(outside.data("alpaca_eval", "alpaca_eval.json").read_text(encoding="utf-8"))[:250]
    else:
        rows = made_data.evaluation_prompts(150)
    return [row["output"] for row in rows if row["output"].strip()]


def _marked(rng, text):
    """Markdown, sections, dividers, titles: what the rules look for, now and then."""
    parts = re.split(r"(?<=[.!?]) ", text)
    for _ in range(rng.randrange(4)):
        at = rng.randrange(len(parts))
        parts[at] = rng.choice(["* {}", "\n* {}", "\n- {}", "*{}*", "**{}**", "\n\n{}", "\n\n***\n\n{}", "\n{}\n", "Section 1\n{}", "\nSECTION 2 {}", "[{}]",
                                "<<{}>>", "\"{}\"", "{} ******", "******{}", "PARAGRAPH 3\n{}", "{}\nP.S. more", "{} p. p. s more", "'{}'", "{}!?"]
                               ).format(parts[at])
    for _ in range(rng.randrange(3)):
        parts.insert(rng.randrange(len(parts) + 1), rng.choice(AWKWARD))
    return rng.choice([" ", " ", "\n", "\n\n"]).join(parts)


def responses(count, seed):
    rng, texts = random.Random(seed), english_texts()
    for _ in range(count):
        text = rng.choice([rng.choice(texts), rng.choice(texts)[:rng.randrange(1, 200)], rng.choice(list(LANGUAGES.values()))])
        text = _marked(rng, text) if rng.random() < 0.8 else text
        text = rng.choice([str, str, str, str.upper, str.lower, str.title])(text)
        text = rng.choice(["{}", "{}", "{}", "\"{}\"", " {}\n", "Sure:\n{}\nDone.", "```\n{}\n```", "*{}*", "{}\n\nMy answer is yes."]).format(text)
        yield text if rng.random() < 0.97 else rng.choice(AWKWARD)


def _words(rng, response, count):
    known = re.findall(r"\w+", response) or ["x"]
    some = ["the", "and", "rock", "a.b", "colou?r", "k", "ſ", "e", "é", "[aeiou]{2}", r"\d+", "x*", "in the", "Ü", "(one|two)", "is\\b", ".", "^The", "end$"]
    return [rng.choice([rng.choice(known), rng.choice(known), rng.choice(some)]) for _ in range(count)]


def _near(rng, number):
    return max(0, number + rng.randrange(-2, 3))


def kwargs_of(rng, identity, response):
    """What the instruction asks, near to what the response has."""
    relation = rng.choice(["less than", "at least"])
    word = _words(rng, response, 1)[0]
    letter = rng.choice("etaoinzq") if rng.random() < 0.8 else rng.choice("ABZ")
    paragraphs = max(1, _near(rng, response.count("\n\n") + 1))
    first = rng.choice((re.findall(r"\w+", response) or ["x"])[:3] + ["The"])
    drawn = {
        "keywords:existence": lambda: {"keywords": _words(rng, response, rng.randrange(1, 4))},
        "keywords:frequency": lambda: {"keyword": word, "frequency": max(1, _near(rng, len(re.findall(word, response, re.I)))), "relation": relation},
        "keywords:forbidden_words": lambda: {"forbidden_words": _words(rng, response, rng.randrange(1, 3)) if rng.random() < 0.5 else ["zebra", "x-?y"]},
        "keywords:letter_frequency": lambda: {"letter": letter, "let_frequency": max(1, _near(rng, response.lower().count(letter.lower()))),
                                              "let_relation": relation},
        "language:response_language": lambda: {"language": rng.choice(["en", "en", *LANGUAGES])},
        "length_constraints:number_sentences": lambda: {"num_sentences": max(1, _near(rng, len(re.findall(r"[.!?]\s", response)))), "relation": relation},
        "length_constraints:number_paragraphs": lambda: {"num_paragraphs": max(1, _near(rng, response.count("***")))},
        "length_constraints:number_words": lambda: {"num_words": max(1, _near(rng, len(re.findall(r"\w+", response)))), "relation": relation},
        "length_constraints:nth_paragraph_first_word": lambda: {"num_paragraphs": paragraphs, "nth_paragraph": rng.randrange(1, paragraphs + 1),
                                                                "first_word": first},
        "detectable_content:number_placeholders": lambda: {"num_placeholders": max(1, _near(rng, response.count("[")))},
        "detectable_content:postscript": lambda: {"postscript_marker": rng.choice(["P.S.", "P.P.S", "PS", " p.s"])},
        "detectable_format:number_bullet_lists": lambda: {"num_bullets": max(1, _near(rng, len(re.findall(r"^[*-]", response, re.M))))},
        "detectable_format:number_highlighted_sections": lambda: {"num_highlights": max(1, _near(rng, response.count("*") // 2))},
        "detectable_format:multiple_sections": lambda: {"section_spliter": rng.choice(["Section", "SECTION", "PARAGRAPH"]), "num_sections": rng.randrange(1, 3)},
        "combination:repeat_prompt": lambda: {"prompt_to_repeat": (response[:rng.randrange(1, 30)].strip() or "x").swapcase() if rng.random() < 0.6 else "Say it"},
        "startend:end_checker": lambda: {"end_phrase": (response.strip().strip('"')[-rng.randrange(1, 20):].strip() or "x") if rng.random() < 0.6 else "Bye."},
        "change_case:capital_word_frequency": lambda: {"capital_frequency": max(1, _near(rng, len(re.findall(r"\b[A-Z]+\b", response)))),
                                                       "capital_relation": relation}}
    return drawn.get(identity, dict)()


def made_to_follow(rng, identity, response):
    """Forms that a drawn response rarely has."""
    if rng.random() < 0.5:
        return response
    half = response[:len(response) // 2].replace("*", "")
    made = {"detectable_format:json_format": lambda: rng.choice(
                ["{}", "```json\n{}\n```", "```\n{}```", "```JSON{}", " {} ", "x{}"]).format(json.dumps({"a": response[:40], "b": [1.5, None, rng.choice([1e400, 10**30, -7])]},
                                                                                                       ensure_ascii=rng.random() < 0.5)),
            "combination:two_responses": lambda: half + "\n******\n" + rng.choice([half, response.replace("*", ""), "Other."]) + rng.choice(["", "******", "\n"]),
            "detectable_format:title": lambda: "<<" + rng.choice(["Title", " ", ">", "<"]) + ">>\n" + response,
            "detectable_format:constrained_response": lambda: rng.choice(["My answer is no.", "**My answer** is maybe.", "my answer is yes.", response]),
            "length_constraints:number_paragraphs": lambda: rng.choice(["", "***\n"]) + half + rng.choice(["\n***\n", " *** ", "***", "\n\n***\n\n"]) + "More."
                                                            + rng.choice(["", "\n***", "***\n***"]),
            "punctuation:no_comma": lambda: response.replace(",", rng.choice(["", "，", ";"])),
            "startend:quotation": lambda: f"\"{response}\""}
    return made.get(identity, lambda: response)()


def item(identity, kwargs, prompt="Do it."):
    return {"key": 1, "prompt": prompt, "instruction_id_list": [identity], "kwargs": [kwargs]}
