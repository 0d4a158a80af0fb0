using VhdCore.Devices;
using VhdCore.Disks;
using VhdCore.Formats;
using VhdCore.Operations;

namespace VhdCli.Targets;

/// <summary>Where a converted disk goes. Disposing of it before it is complete takes back what can be taken back.</summary>
internal abstract class ConvertTarget : IAsyncDisposable
{
    /// <summary>What to write to; null where it is no disk, but a stream.</summary>
    public abstract IBlockDevice? Device { get; }

    /// <summary>It reads as zeros throughout.</summary>
    public abstract bool IsZero { get; }

    /// <summary>It must be, or had better be, written in rising order.</summary>
    public abstract bool NeedsOrder { get; }

    /// <summary>Copies a disk here.</summary>
    public virtual Task<ConvertResult> CopyAsync(IBlockDevice source, ConvertOptions options, IProgress<OperationProgress>? progress, CancellationToken cancellationToken) =>
        ConvertOperation.RunAsync(source, Device!, options, progress, cancellationToken);

    /// <summary>Copies what comes out of a stream here.</summary>
    public virtual Task<ConvertResult> CopyAsync(StreamSource source, ConvertOptions options, IProgress<OperationProgress>? progress, CancellationToken cancellationToken) =>
        source.CopyToAsync(Device!, options, progress, cancellationToken);

    /// <summary>Everything is written: makes it final.</summary>
    public abstract ValueTask CompleteAsync(CancellationToken cancellationToken);

    public abstract ValueTask DisposeAsync();
}

/// <summary>A new image, which gets its name when it is complete.</summary>
internal sealed class NewImageTarget(VirtualDisk disk) : ConvertTarget
{
    public override IBlockDevice Device => disk.Device;

    public override bool IsZero => true;

    // Blocks take their places in the file as they are first written: in order, the same content makes the same file.
    public override bool NeedsOrder => disk.Images[0].Kind != ImageKind.Fixed;

    public static async ValueTask<NewImageTarget> CreateAsync(
        CliSession session, string path, ImageCreateOptions options, CancellationToken cancellationToken)
    {
        var disk = await VirtualDisk.CreateAsync(path, options with { DeferPublishing = true }, session.Resolver, cancellationToken);
        return new NewImageTarget(disk);
    }

    public override ValueTask CompleteAsync(CancellationToken cancellationToken) => disk.PublishAsync(cancellationToken);

    public override ValueTask DisposeAsync() => disk.DisposeAsync();
}

/// <summary>A new image of a size that the source tells with its last byte.</summary>
internal sealed class GrowingTarget(GrowingImage image) : ConvertTarget
{
    public override IBlockDevice Device => image.Device;

    public override bool IsZero => true;

    public override bool NeedsOrder => false;

    public override async Task<ConvertResult> CopyAsync(StreamSource source, ConvertOptions options, IProgress<OperationProgress>? progress, CancellationToken cancellationToken)
    {
        var result = await source.CopyToAsync(image.Device, options, progress, cancellationToken);
        await image.PublishAsync(source.Length!.Value, options with { WriteInOrder = true }, progress, cancellationToken);
        return result;
    }

    public override ValueTask CompleteAsync(CancellationToken cancellationToken) => ValueTask.CompletedTask;

    public override ValueTask DisposeAsync() => image.DisposeAsync();
}

/// <summary>An image or device that exists and is written over.</summary>
internal sealed class ExistingTarget(VirtualDisk disk, bool isZero) : ConvertTarget
{
    public override IBlockDevice Device => disk.Device;

    public override bool IsZero => isZero;

    public override bool NeedsOrder => disk.Images[0].Kind != ImageKind.Fixed;

    public override ValueTask CompleteAsync(CancellationToken cancellationToken) => ValueTask.CompletedTask;

    public override ValueTask DisposeAsync() => disk.DisposeAsync();
}

/// <summary>A pipe or the like: an image in one forward pass.</summary>
internal sealed class StreamTarget(Stream stream, string name, ImageCreateOptions image, bool ownsStream) : ConvertTarget
{
    public override IBlockDevice? Device => null;

    public override bool IsZero => false;

    public override bool NeedsOrder => true;

    public override Task<ConvertResult> CopyAsync(IBlockDevice source, ConvertOptions options, IProgress<OperationProgress>? progress, CancellationToken cancellationToken) =>
        ExportOperation.RunAsync(source, stream, image, name, options, progress, cancellationToken);

    public override Task<ConvertResult> CopyAsync(StreamSource source, ConvertOptions options, IProgress<OperationProgress>? progress, CancellationToken cancellationToken) =>
        ExportOperation.RunAsync(source, stream, image, name, options, progress, cancellationToken);

    public override ValueTask CompleteAsync(CancellationToken cancellationToken) => ValueTask.CompletedTask;

    public override ValueTask DisposeAsync() => ownsStream ? stream.DisposeAsync() : ValueTask.CompletedTask;
}
