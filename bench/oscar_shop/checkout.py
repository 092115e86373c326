"""Oscar's checkout in one request: basket, offers, shipping, total, payment, order, stock allocation, mail.

A browser sends six requests for this. Here one does the work of the last, which places the order, with a basket that
it fills first. Every step is oscar's own class; payment is recorded without asking anybody.
"""

import json

from django.contrib.auth import get_user_model
from django.http import HttpRequest, JsonResponse
from django.utils.decorators import method_decorator
from django.views import View
from django.views.decorators.csrf import csrf_exempt
from oscar.core.loading import get_class, get_model

from bench.oscar_shop import ADDRESS

Applicator = get_class("offer.applicator", "Applicator")
CheckoutSessionData = get_class("checkout.utils", "CheckoutSessionData")
OrderPlacementMixin = get_class("checkout.mixins", "OrderPlacementMixin")
OrderTotalCalculator = get_class("checkout.calculators", "OrderTotalCalculator")
Repository = get_class("shipping.repository", "Repository")
Selector = get_class("partner.strategy", "Selector")
Basket = get_model("basket", "Basket")
Product = get_model("catalogue", "Product")
ShippingAddress = get_model("order", "ShippingAddress")
Source = get_model("payment", "Source")
SourceType = get_model("payment", "SourceType")


@method_decorator(csrf_exempt, name="dispatch")
class OrderView(OrderPlacementMixin, View):
    """POST {user_id, product_id, quantity}: 201 {order}; 409 where oscar sells no such quantity."""

    def post(self, request: HttpRequest) -> JsonResponse:
        asked = json.loads(request.body)
        request.user = user = get_user_model().objects.get(pk=asked["user_id"])
        self.request, self.checkout_session = request, CheckoutSessionData(request)
        basket = Basket.objects.create(owner=user)
        basket.strategy = Selector().strategy(request=request, user=user)
        product = Product.objects.get(pk=asked["product_id"])
        allowed, why = basket.is_quantity_allowed(asked["quantity"])
        if allowed:
            allowed, why = basket.get_stock_info(product, []).availability.is_purchase_permitted(asked["quantity"])
        if not allowed:
            return JsonResponse({"error": str(why)}, status=409)
        basket.add_product(product, asked["quantity"])
        Applicator().apply(basket, user, request)
        address = ShippingAddress(**ADDRESS)
        method = Repository().get_default_shipping_method(basket, user=user, request=request, shipping_addr=address)
        charge = method.calculate(basket)
        total = OrderTotalCalculator(request).calculate(basket, charge)
        number = self.generate_order_number(basket)
        self.freeze_basket(basket)
        kind, _ = SourceType.objects.get_or_create(name="Card")
        self.add_payment_source(
            Source(source_type=kind, currency="USD", amount_allocated=total.incl_tax, amount_debited=total.incl_tax)
        )
        self.add_payment_event("Settled", total.incl_tax)
        self.handle_order_placement(number, user, basket, address, method, charge, None, total)
        return JsonResponse({"order": number, "total": str(total.incl_tax)}, status=201)
