using VhdCore.Vhdx;

namespace VhdCore.Tests.Vhdx;

public class VhdxLogRingTests
{
    [Fact]
    public void The_first_entry_is_its_own_tail()
    {
        var ring = new VhdxLogRing(256, 7);
        var first = ring.Append(1, isEmpty: true);

        Assert.Equal((0, 1, 0, 7UL), (first.Position, first.SectorCount, first.Tail, first.SequenceNumber));
        Assert.Equal(254, ring.FreeSectorCount);
    }

    [Fact]
    public void An_entry_is_the_tail_until_its_pages_are_durable_in_their_places()
    {
        var ring = new VhdxLogRing(256, 1);
        ring.Append(1, isEmpty: true);
        var first = ring.Append(5, isEmpty: false);
        ring.MadeDurable(first.SequenceNumber);
        var second = ring.Append(5, isEmpty: false);
        Assert.Equal(first.Position, second.Tail);

        ring.MadeDurable(second.SequenceNumber);
        ring.AppliedDurably(first.SequenceNumber);
        Assert.Equal(second.Position, ring.Append(5, isEmpty: false).Tail);
    }

    [Fact]
    public void Space_is_free_only_after_the_entry_with_the_new_tail_is_durable()
    {
        var ring = new VhdxLogRing(30, 1);
        ring.Append(1, isEmpty: true);
        var first = ring.Append(9, isEmpty: false);
        ring.MadeDurable(first.SequenceNumber);
        ring.AppliedDurably(first.SequenceNumber);
        var second = ring.Append(9, isEmpty: false);
        Assert.Equal(30 - 18 - 1, ring.FreeSectorCount); // the empty one went when the first became durable

        ring.MadeDurable(second.SequenceNumber);
        Assert.Equal(30 - 9 - 1, ring.FreeSectorCount);
    }

    [Fact]
    public void The_last_free_sector_is_kept_for_an_empty_entry()
    {
        var ring = new VhdxLogRing(10, 1);
        ring.Append(9, isEmpty: false);

        Assert.Throws<InvalidOperationException>(() => ring.Append(1, isEmpty: false));
        Assert.Equal(9, ring.Append(1, isEmpty: true).Position);
        Assert.Throws<InvalidOperationException>(() => ring.Append(1, isEmpty: true));
    }

    [Fact]
    public void Whatever_a_power_cut_leaves_no_entry_that_a_replay_needs_was_overwritten()
    {
        for (var seed = 1; seed <= 300; seed++)
        {
            var random = new Random(seed);
            var size = random.Next(12, 80);
            var ring = new VhdxLogRing(size, (ulong)random.Next(1, 1000));
            var model = new Model(size);
            for (var step = 0; step < 200; step++)
            {
                switch (random.Next(4))
                {
                    case 0 when ring.FreeSectorCount > 0:
                        model.Written(ring.Append(random.Next(1, Math.Min(ring.FreeSectorCount, (size / 3) + 1) + 1), isEmpty: false), isEmpty: false);
                        break;
                    case 1:
                        model.Applied = model.LastWritten; // only entries that a flush has covered are applied
                        break;
                    case 2:
                        model.Flush(ring);
                        break;
                    default:
                        if (ring.FreeSectorCount <= 1)
                        {
                            MoveTail(ring, model);
                            Assert.True(ring.FreeSectorCount >= size / 3, $"seed {seed}: {ring.FreeSectorCount} of {size}");
                        }

                        break;
                }
            }
        }
    }

    // What the writer does when the ring is full: everything applied and durable, then an empty entry that says so.
    private static void MoveTail(VhdxLogRing ring, Model model)
    {
        model.Flush(ring);
        model.Applied = model.LastWritten;
        model.Flush(ring);
        model.Written(ring.Append(1, isEmpty: true), isEmpty: true);
        model.Flush(ring);
    }

    /// <summary>Which sector holds which entry, and what a reader after a power cut would need. Knows no more of the ring than its answers.</summary>
    private sealed class Model(int size)
    {
        private readonly ulong[] _sectors = new ulong[size];
        private readonly List<VhdxLogRing.Entry> _all = [];
        private ulong _durable;

        public ulong LastWritten { get; private set; }

        /// <summary>Pages of entries up to this one are in place.</summary>
        public ulong Applied { get; set; }

        public void Written(VhdxLogRing.Entry entry, bool isEmpty)
        {
            // Before the next flush, a reader may see any of the undurable entries, or none.
            var needed = Needed(entry.SequenceNumber - 1).Concat(Needed(_durable)).ToHashSet();
            for (var i = 0; i < entry.SectorCount; i++)
            {
                ref var sector = ref _sectors[(entry.Position + i) % size];
                Assert.DoesNotContain(sector, needed);
                sector = entry.SequenceNumber;
            }

            _all.Add(entry);
            Applied = isEmpty && Applied == LastWritten ? entry.SequenceNumber : Math.Min(Applied, _durable);
            LastWritten = entry.SequenceNumber;
        }

        public void Flush(VhdxLogRing ring)
        {
            Applied = Math.Min(Applied, _durable == LastWritten ? Applied : _durable);
            ring.MadeDurable(LastWritten);
            ring.AppliedDurably(Applied);
            _durable = LastWritten;
        }

        private IEnumerable<ulong> Needed(ulong head)
        {
            var last = _all.LastOrDefault(entry => entry.SequenceNumber <= head);
            if (last is null)
            {
                return [];
            }

            var tail = _all.Last(entry => entry.SequenceNumber <= head && entry.Position == last.Tail);
            return _all.Where(entry => entry.SequenceNumber >= tail.SequenceNumber && entry.SequenceNumber <= head).Select(entry => entry.SequenceNumber);
        }
    }
}
