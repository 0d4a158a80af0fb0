using System.Buffers.Binary;
using VhdCore.Disks;
using VhdCore.Errors;
using VhdCore.Formats;
using VhdCore.Operations;
using VhdCore.Storage;
using VhdCore.Testing;
using VhdCore.Testing.Crash;
using VhdCore.Testing.Independent;

namespace VhdCore.Simulation.Vhdx;

/// <summary>Holds what a cut has left of a VHDX against the durability contract: by the independent reader, which replays the log itself, and by the library.</summary>
internal sealed class VhdxCutChecker
{
    private const int Sector = SectorOracle.SectorSize;
    private const int FullyPresent = 6;
    private const int PartiallyPresent = 7;
    private const int OneMiB = 1 << 20;
    private const int SearchEvery = 4; // checks
    private const int CheckEvery = 5; // checks
    private const int WholeTableEvery = 200; // checks

    private readonly VhdxPlan _plan;
    private readonly VhdxSites _sites;
    private readonly PlainVhdxBuilder _layout;
    private readonly PlainVhdx[] _parents;
    private readonly byte[] _expected = new byte[8];
    private int _checks;

    /// <param name="plan">Of the run.</param>
    /// <param name="world">Has the parents, which never change.</param>
    public VhdxCutChecker(VhdxPlan plan, CrashWorld world)
    {
        _plan = plan;
        _sites = plan.Sites;
        _layout = plan.Layout;
        _parents = [.. VhdxImages.Parents(plan).Select(name => PlainVhdx.Open(new MemoryStream(world.GetBytes(name))))];
    }

    /// <summary>The DataWriteGuid of the image that was read last.</summary>
    public byte[] DataWriteId { get; private set; } = [];

    /// <summary>Judges everything.</summary>
    /// <returns>The sites' content.</returns>
    /// <exception cref="SimulationFailure">The contract is broken.</exception>
    public byte[] Check(CrashWorld left, SectorOracle oracle)
    {
        _checks++;
        var content = ReadPlain(left);
        CutChecker.JudgeContent(content, "the independent reader", oracle);
        var own = ReadOwnAsync(left).AsTask();
        if (!own.IsCompleted)
        {
            throw new SimulationFailure("opening and reading did not end at once");
        }

        if (!own.GetAwaiter().GetResult().AsSpan().SequenceEqual(content))
        {
            CutChecker.JudgeContent(own.Result, "the library", oracle);
            throw new SimulationFailure("the library and the independent reader see different disks");
        }

        if (_checks % CheckEvery == 0)
        {
            RequireNoCorruption(left);
        }

        return content;
    }

    /// <summary>The sites' content of an image that nobody works on.</summary>
    public byte[] ReadPlain(CrashWorld left)
    {
        try
        {
            using var leaf = PlainVhdx.Open(Open(left, VhdxPlan.Leaf));
            DataWriteId = leaf.DataWriteId;
            RequireSound(leaf);
            var chain = new PlainVhdxChain([leaf, .. _parents]); // not disposed of: the parents stay
            if (_checks % SearchEvery == 0)
            {
                RequireOwnBytes(leaf, left);
            }

            return _sites.Gather(chain.Read);
        }
        catch (PlainFormatException exception)
        {
            throw new SimulationFailure($"the independent reader refuses the image: {exception.Message}");
        }
    }

    /// <summary>Whether an image that nobody has open has a log to replay.</summary>
    public static bool HasLog(CrashWorld world)
    {
        using var leaf = PlainVhdx.Open(Open(world, VhdxPlan.Leaf));
        return leaf.ReplayedEntries > 0;
    }

    private static StorageStream Open(CrashWorld world, string name) =>
        new(world.OpenAsync(name, StorageOpenOptions.ForReading with { Sharing = StorageSharing.Force }).AsTask().GetAwaiter().GetResult());

    private static void RequireNoCorruption(CrashWorld left)
    {
        var checking = CheckOperation.RunAsync(VhdxPlan.Leaf, resolver: left);
        if (!checking.IsCompleted)
        {
            throw new SimulationFailure("checking did not end at once");
        }

        if (checking.GetAwaiter().GetResult().Findings.FirstOrDefault(finding => finding.Severity == CheckSeverity.Corruption) is { } finding)
        {
            throw new SimulationFailure($"the check finds {finding.Id}: {finding.Message}");
        }
    }

    private void RequireSound(PlainVhdx image)
    {
        var places = new SortedList<long, (long End, string Whose)>();
        if (!_plan.IsFixed && _checks % WholeTableEvery == 0)
        {
            for (long block = 0; block < image.BlockCount; block++)
            {
                if (image.Block(block).State is FullyPresent or PartiallyPresent && !_sites.Blocks.Contains((int)block))
                {
                    throw new SimulationFailure($"block {block}, which nobody has written, has a place");
                }
            }
        }

        foreach (var block in _sites.Blocks)
        {
            var (state, offset) = image.Block(block);
            if (state is FullyPresent or PartiallyPresent)
            {
                Add(offset, image.BlockSize, $"block {block}");
            }
            else if (offset != 0 && !_plan.IsForeign)
            {
                // Hyper-V fails to read a file where a block without content has a place.
                throw new SimulationFailure($"block {block} has the state {state} and an offset of {offset}");
            }
        }

        for (var chunk = 0; _plan.ParentCount > 0 && chunk < _layout.ChunkCount; chunk++)
        {
            var (state, offset) = image.BitmapBlock(chunk);
            if (state == FullyPresent)
            {
                Add(offset, OneMiB, $"the sector bitmap of chunk {chunk}");
            }
        }

        for (var i = 1; i < places.Count; i++)
        {
            if (places.Keys[i] < places.Values[i - 1].End)
            {
                throw new SimulationFailure($"{places.Values[i - 1].Whose} and {places.Values[i].Whose} overlap at {places.Keys[i]}");
            }
        }

        void Add(long offset, long size, string whose)
        {
            if (offset < _layout.DataOffset || offset + size > image.Length)
            {
                throw new SimulationFailure($"{whose} lies at {offset}, in the metadata or behind the end at {image.Length}");
            }

            if (!places.TryAdd(offset, (offset + size, whose)))
            {
                throw new SimulationFailure($"{whose} and {places[offset].Whose} share the place at {offset}");
            }
        }
    }

    /// <summary>No bytes of another block: everything that shows in a block says that it was written for this place of the disk.</summary>
    private void RequireOwnBytes(PlainVhdx image, CrashWorld world)
    {
        foreach (var block in _sites.Blocks)
        {
            var (state, offset) = image.Block(block);
            if (state is not (FullyPresent or PartiallyPresent))
            {
                continue;
            }

            var first = block * (_plan.BlockSize / Sector);
            var cells = world.PeekCells(VhdxPlan.Leaf, (int)(offset / Sector), (int)Math.Min(_plan.BlockSize / Sector, (_plan.DiskSize / Sector) - first));
            for (var i = 0; i < cells.Length; i++)
            {
                if (cells[i] is { } bytes && !IsOwn(bytes, (int)(first + i))
                    && (state == FullyPresent || image.Where((first + i) * Sector / _plan.LogicalSectorSize) == PlainVhdxPlace.File))
                {
                    throw new SimulationFailure($"block {block} shows {Pattern.Describe(bytes)} in sector {first + i}");
                }
            }
        }
    }

    private bool IsOwn(byte[] cell, int sector)
    {
        Pattern.Create((long)sector * Sector, 8, 0).CopyTo(_expected, 0);
        if (BinaryPrimitives.ReadUInt64LittleEndian(cell) == BinaryPrimitives.ReadUInt64LittleEndian(_expected)
            && BinaryPrimitives.ReadUInt64LittleEndian(cell.AsSpan(Sector - 16)) == BinaryPrimitives.ReadUInt64LittleEndian(_expected))
        {
            return true;
        }

        // Writes that begin or end inside 16 bytes leave parts of them as they were: zeros, or the same mark.
        for (var at = 0; at < Sector; at++)
        {
            if (at % 16 < 8 && cell[at] != 0 && cell[at] != _expected[at % 16])
            {
                return false;
            }
        }

        return true;
    }

    private async ValueTask<byte[]> ReadOwnAsync(CrashWorld left)
    {
        try
        {
            await using var disk = await VirtualDisk.OpenAsync(VhdxPlan.Leaf, new ImageOpenOptions(), left);
            return await ReadSitesAsync(disk.Device);
        }
        catch (ImageException exception)
        {
            throw new SimulationFailure($"the library does not open the image: {exception.Message}");
        }
    }

    /// <summary>The sites' content as a device shows it.</summary>
    public async ValueTask<byte[]> ReadSitesAsync(Devices.IBlockDevice device)
    {
        var content = new byte[_sites.Count * Sector];
        for (var site = 0; site < _sites.Count; site += _sites.NeighboursAt(site))
        {
            using var buffer = new NativeBuffer(_sites.NeighboursAt(site) * Sector);
            var status = await device.ReadAsync(_sites.OffsetOf(site), buffer.Buffers);
            if (status != BlockStatus.Ok)
            {
                throw new SimulationFailure($"reading {buffer.Length} bytes at {_sites.OffsetOf(site)} answers {status}");
            }

            buffer.Span.CopyTo(content.AsSpan(site * Sector));
        }

        return content;
    }
}
