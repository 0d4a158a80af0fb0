using VhdCore.Primitives;

namespace VhdCore.Layers;

/// <summary>
/// Readers-writer locks by block number, for the one place where writes must not pass each other: a write of part of a sector that the leaf does
/// not hold reads, merges and writes the whole sector, alone in its block; every other write, trim and zero of that block shares.
/// </summary>
/// <remarks>
/// Blocks share <see cref="StripeCount"/> stripes. Waiters are served in order, so neither side starves. A holder takes one stripe at a time and
/// never waits for another, so there is no deadlock. Not bound to threads.
/// </remarks>
internal sealed class StripedAsyncLock
{
    public const int StripeCount = 256;

    private readonly AsyncSharedLock[] _stripes = new AsyncSharedLock[StripeCount];

    public StripedAsyncLock()
    {
        for (var i = 0; i < _stripes.Length; i++)
        {
            _stripes[i] = new AsyncSharedLock();
        }
    }

    /// <summary>Enters together with other sharers of the block's stripe. Completes at once unless an exclusive holder is there or waits.</summary>
    public ValueTask EnterSharedAsync(long block) => Of(block).EnterSharedAsync();

    public void ExitShared(long block) => Of(block).ExitShared();

    /// <summary>Enters alone.</summary>
    public ValueTask EnterExclusiveAsync(long block) => Of(block).EnterExclusiveAsync();

    public void ExitExclusive(long block) => Of(block).ExitExclusive();

    private AsyncSharedLock Of(long block) => _stripes[(int)(block & (StripeCount - 1))];
}
