using VhdCore.Devices;
using VhdCore.Errors;

namespace VhdCore.Operations;

/// <summary>Lets a target share what its source's files hold, where one file system has both. Any thread.</summary>
internal sealed class RangeCloner
{
    private readonly ChainDevice _source;
    private readonly ChainDevice _target;
    private volatile bool _isRefused;

    private RangeCloner(ChainDevice source, ChainDevice target)
    {
        _source = source;
        _target = target;
    }

    /// <summary>A cloner, or null where these disks cannot share anything.</summary>
    public static RangeCloner? Create(IBlockDevice source, IBlockDevice target) =>
        source is ChainDevice { Info.IsReadOnly: true } from && target is ChainDevice to && to.MayCloneFrom(from) ? new RangeCloner(from, to) : null;

    /// <summary>Clones a range.</summary>
    /// <returns>False where it must be copied, all of it.</returns>
    public async ValueTask<bool> TryCloneAsync(DiskRange range, CancellationToken cancellationToken)
    {
        var (offset, left) = range;
        while (left > 0)
        {
            if (_isRefused)
            {
                return false;
            }

            var run = await DeviceRequest.MapAsync(_source, offset, left, cancellationToken).ConfigureAwait(false);
            if (run.StorageOffset < 0)
            {
                return false;
            }

            var (status, cloned) = await _target.CloneAsync(offset, _source.StorageAt(run.Depth), run.StorageOffset, run.Length, cancellationToken).ConfigureAwait(false);
            if (status == BlockStatus.Unsupported)
            {
                // Of this pair of images in this way, whatever the range: not asked again.
                _isRefused = true;
                return false;
            }

            if (status != BlockStatus.Ok)
            {
                return false; // writing will fail as well, and say why
            }

            offset += cloned;
            left -= cloned;
        }

        return true;
    }
}
