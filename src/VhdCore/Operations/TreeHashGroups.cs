using VhdCore.Devices;
using VhdCore.Primitives;

namespace VhdCore.Operations;

/// <summary>Windows that one worker of a tree hash deals with together: up to sixteen with data, and the zeros between them.</summary>
internal readonly record struct TreeHashGroup(IReadOnlyList<DiskWindow> Windows, long Length);

/// <summary>Cuts a disk into groups. Not for several threads at once.</summary>
internal sealed class TreeHashGroups(IBlockDevice device)
{
    private const long MaxZeroLength = 1L << 60; // bytes joined in at once

    private readonly DiskWindows _windows = new(device, device.Length, TreeHash.BlockSize);

    /// <summary>The next group, or null at the end.</summary>
    public async ValueTask<TreeHashGroup?> NextAsync(CancellationToken cancellationToken)
    {
        var windows = new List<DiskWindow>();
        long length = 0;
        for (var leaves = 0; leaves < Sha256Lanes.Count;)
        {
            if (await _windows.NextAsync(MaxZeroLength, cancellationToken).ConfigureAwait(false) is not { } window)
            {
                break;
            }

            windows.Add(window);
            length += window.Length;
            leaves += window.IsZero ? 0 : 1;
        }

        return windows.Count == 0 ? null : new TreeHashGroup(windows, length);
    }
}
