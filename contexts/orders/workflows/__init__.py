"""Placing an order, step by step, with what undoes each step. Read this table first.

    step           walked by              calls, one after the other    records              undone by
    -------------  ---------------------  ----------------------------  -------------------  ----------------------
    (a request)    placing.begin          customers, catalog            the order, leased    progress.discard
    PLACE          forward.place          inventory.reserve                                  inventory.release
      shipped at once:                    payments.charge: THE PIVOT                         payments.cancel
                                          shipping.send                                      a return
                                          inventory.ship                SHIPPED, PAID        a return
      shipped by staff:                   payments.authorise                                 payments.cancel
                                          inventory.confirm                                  inventory.release
                                          shipping.create                                    shipping.cancel
                                          payments.capture: THE PIVOT   CONFIRMED, PAID      payments.cancel
      nothing due:                        inventory.confirm                                  inventory.release
                                          shipping.create               CONFIRMED, PAID      shipping.cancel
      pay later:                          shipping.expect                                    shipping.cancel
                                          payments.open_request         AWAITING_PAYMENT     payments.cancel
      no answer yet:                      shipping.expect               PAYMENT_PENDING      shipping.cancel
      under review:                       inventory.stop_paying         PAYMENT_PENDING      inventory.release
    AWAIT_PAYMENT  forward.await_payment  payments.close                paid, or to undo
      being paid:                         inventory.reserve (again)                          inventory.release
      under review:                       inventory.stop_paying         in time: to undo     inventory.release
    CONFIRM        forward.confirm_paid   inventory.confirm                                  inventory.release
      expired:                            inventory.reserve (again)                          inventory.release
                                          shipping.create               CONFIRMED            shipping.cancel
    FULFIL         forward.fulfil         inventory.ship                                     a return
                                          shipping.send                 SHIPPED, DELIVERED   a return
      a count found too little:           shipping.withhold or allow    short                shipping.cancel
      others have come elsewhere:         shipping.withhold                                  shipping.cancel
                                          inventory.accept_moves                             inventory.release
                                          shipping.rearrange                                 shipping.cancel
      refunded, and units missing:        shipping.withhold                                  shipping.cancel
                                          inventory.give_up             to undo, if that     inventory.release
                                                                        was all
    DONE           forward.done           nothing                       nothing is due

The calls of a step are outside any transaction, and each participant answers a repeated call the same. So after a crash
the next runner walks the step again from its beginning.

Before the pivot a refusal undoes everything: the step records ``undo`` and returns, and ``backward.undo`` makes the
calls of the last column until nothing is left. After the pivot steps are only repeated.

The runner (``runner.py``) is a loop over this table, for as long as it holds the order's lease. At its end a step calls
one function of ``progress.py``: ``record``, ``undo`` or ``refuse`` keep the lease, and the loop goes on; ``rest`` gives
it back; ``discard`` deletes an order that holds nothing. If a step raises, the order is postponed, and walked again.

Once an order is recorded, no failure is an answer: the caller gets the order, which is listed from then on, and
recovery carries it on. Only its first runner may still discard it, while it holds nothing: nobody has been told of it.

``placing``, ``cancelling``, ``returning`` and ``quoting`` are what the API calls; ``recovery`` is what beat and other
contexts' events call.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from contexts.orders.models import Step
from contexts.orders.workflows import forward
from contexts.orders.workflows.progress import Run

STEPS: Mapping[str, Callable[[Run], None]] = {
    Step.PLACE: forward.place,
    Step.AWAIT_PAYMENT: forward.await_payment,
    Step.CONFIRM: forward.confirm_paid,
    Step.FULFIL: forward.fulfil,
    Step.DONE: forward.done,
}
