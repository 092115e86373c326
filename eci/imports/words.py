"""What columns are called in German, French, Spanish, Italian, Dutch, Polish and Hungarian, by what they are;
prices also in Portuguese, Danish, Norwegian and Swedish.

Case, accents, spaces and signs do not matter. A word that means two things in the same kind of file stands nowhere.
"""

from __future__ import annotations

SKU = (
    *(
        "artikelnummer",
        "artikelnr",
        "artikel-nr.",
        "art.-nr.",
        "artnr",
        "artikelcode",
        "bestellnummer",
        "produktnummer",
    ),
    *("code article", "code produit", "référence article", "référence produit", "référence sku", "réf"),
    *("código", "código de artículo", "código de producto", "referencia de producto", "código sku"),
    *("codice", "codice articolo", "codice prodotto", "codice sku", "articolo codice"),
    *("productcode", "productnummer", "bestelnummer"),
    *("kod", "kod produktu", "kod towaru", "indeks", "numer katalogowy", "symbol"),
    *("cikkszám", "termékkód", "cikkkód"),
)
NAME = (
    *("bezeichnung", "artikelbezeichnung", "produktbezeichnung", "artikelname", "produktname", "titel"),
    *("nom", "nom du produit", "nom de l'article", "désignation", "libellé", "titre"),
    *("nombre", "nombre del producto", "nombre de producto", "título", "denominación"),
    *("nome", "nome prodotto", "nome articolo", "denominazione", "titolo"),
    *("naam", "productnaam", "artikelnaam"),
    *("nazwa", "nazwa produktu", "nazwa towaru", "tytuł"),
    *("név", "terméknév", "megnevezés", "termék neve", "cikknév"),
)
DESCRIPTION = (
    *(
        "beschreibung",
        "produktbeschreibung",
        "artikelbeschreibung",
        "descripción",
        "descrizione",
        "description produit",
    ),
    *("omschrijving", "productomschrijving", "beschrijving", "opis", "opis produktu", "leírás", "termékleírás"),
)
CATEGORY = (
    *("kategorie", "kategorien", "produktkategorie", "warengruppe", "artikelgruppe", "catégorie", "catégories"),
    *("categoría", "categorías", "categoria", "categorie", "productgroep"),
    *("kategoria", "kategorie produktu", "kategória", "termékkategória"),
)
PRICE = (
    *("preis", "verkaufspreis", "stückpreis", "einzelpreis", "vk-preis", "prix", "prix de vente", "prix unitaire"),
    *("precio", "precio de venta", "precio unitario", "prezzo", "prezzo di vendita", "prezzo unitario"),
    *("prijs", "verkoopprijs", "eenheidsprijs", "stukprijs", "cena", "cena sprzedaży", "cena jednostkowa"),
    *("ár", "eladási ár", "egységár", "bruttó ár", "prix ttc", "prix ht", "preis brutto", "preis netto", "cena brutto"),
    *("vk", "vk preis", "prix public", "prix vente", "precio venta", "precio de venta al público", "pvp"),
    *("nettopreis", "bruttopreis"),
    *("prezzo al pubblico", "prezzo vendita", "preço", "preço de venda", "preço unitário", "pris", "salgspris"),
    *("försäljningspris", "utsalgspris"),
)
# Words beside a price.
TAX = frozenset(
    {
        *("incl", "including", "inclusive", "included", "inc", "excl", "excluding", "exclusive", "excluded", "ex"),
        *("with", "without", "vat", "tax", "taxes", "gst", "hst", "net", "gross", "inkl", "exkl", "zzgl", "mit"),
        *("ohne", "mwst", "ust", "netto", "brutto", "ttc", "ht", "tva", "iva", "con", "sin", "incluido", "senza"),
        *("inclusa", "esclusa", "btw", "z", "bez", "afa", "moms", "mva", "com", "sem"),
    }
)
CURRENCY = ("währung", "devise", "moneda", "divisa", "valuta", "munteenheid", "waluta", "pénznem", "deviza")
BARCODE = (
    *("strichcode", "barcode ean", "ean-code", "code-barres", "code barre", "código de barras", "codice a barre"),
    *("streepjescode", "kod kreskowy", "vonalkód"),
)
IS_ACTIVE = (
    *("aktiv", "sichtbar", "veröffentlicht", "freigegeben", "actif", "activé", "publié", "en ligne", "en vente"),
    *("activo", "habilitado", "publicado", "attivo", "abilitato", "visibile", "pubblicato", "actief", "zichtbaar"),
    *("gepubliceerd", "ingeschakeld", "aktywny", "widoczny", "opublikowany", "włączony", "aktív", "látható"),
    *("engedélyezve", "statut", "stato"),
)
# What a column is called that says yes of what is not active.
NOT_ACTIVE = (
    *("inaktiv", "nicht aktiv", "archiviert", "gelöscht", "versteckt", "ausgeblendet", "deaktiviert", "gesperrt"),
    *("ausgelaufen", "auslaufartikel", "archivé", "supprimé", "masqué", "caché", "désactivé", "inactif", "abandonné"),
    *("archivado", "eliminado", "oculto", "desactivado", "deshabilitado", "inactivo", "descatalogado", "archiviato"),
    *("eliminato", "nascosto", "disattivato", "disabilitato", "inattivo", "fuori produzione", "gearchiveerd"),
    *("verwijderd", "verborgen", "uitgeschakeld", "inactief", "niet actief", "zarchiwizowany", "usunięty", "ukryty"),
    *("wyłączony", "nieaktywny", "wycofany", "archivált", "törölt", "rejtett", "letiltva", "inaktív", "kifutott"),
)
WAREHOUSE = (
    *("lager", "lagerort", "standort", "filiale", "entrepôt", "emplacement", "dépôt", "almacén", "ubicación"),
    *("magazzino", "deposito", "magazijn", "locatie", "magazyn", "lokalizacja", "raktár", "telephely"),
)
UNITS = (
    *("menge", "anzahl", "stückzahl", "quantité", "qté", "cantidad", "quantità", "qta", "aantal", "hoeveelheid"),
    *("ilość", "mennyiség", "darabszám", "darab"),
)
ON_HAND = (
    *("bestand", "lagerbestand", "lagermenge", "stock disponible", "existencias", "giacenza", "disponibilità"),
    *("voorraad", "stan", "stan magazynowy", "készlet", "raktárkészlet"),
)
DELIVERY_NOTE = (
    *("lieferschein", "lieferscheinnummer", "lieferschein-nr.", "bon de livraison", "albarán", "bolla", "ddt"),
    *("pakbon", "pakbonnummer", "dokument wz", "szállítólevél"),
)
EMAIL = (
    *("e-mail-adresse", "mailadresse", "adresse e-mail", "adresse électronique", "courriel"),
    *("correo", "correo electrónico", "dirección de correo", "indirizzo e-mail", "posta elettronica", "e-mailadres"),
    *("adres e-mail", "e-mail cím"),
)
FULL_NAME = (
    *(
        "kunde",
        "kundenname",
        "nom",
        "nombre",
        "nome",
        "nom complet",
        "nom du client",
        "client",
        "nombre completo",
        "cliente",
        "nome completo",
    ),
    *("naam", "volledige naam", "klant", "klantnaam", "imię i nazwisko", "klient", "név", "teljes név", "vevő"),
)
PHONE = (
    *("telefon", "telefonnummer", "mobil", "handy", "téléphone", "portable", "teléfono", "móvil", "telefono"),
    *("cellulare", "telefoon", "telefoonnummer", "numer telefonu", "telefonszám"),
)
# The two names of a person, the one that is written first before the other.
TWO_NAMES = (
    *(("vorname", "nachname"), ("vorname", "familienname"), ("prénom", "nom"), ("prénom", "nom de famille")),
    *(("nombre", "apellido"), ("nombre", "apellidos"), ("nome", "cognome"), ("voornaam", "achternaam")),
    *(("imię", "nazwisko"), ("vezetéknév", "keresztnév"), ("családnév", "utónév")),
)
